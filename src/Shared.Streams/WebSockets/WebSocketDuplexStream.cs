using System.Buffers;
using System.Net.WebSockets;
using System.Runtime.CompilerServices;
using Shared.Streams.Protocol;

namespace Shared.Streams.WebSockets;

/// <summary>
/// A WebSocket as a stream: binary messages are the bytes and nothing else. How an end and an abort are said is the subclass's:
/// <see cref="ChannelStream"/> says them in text messages, <see cref="RawWebSocketStream"/> in what RFC 6455 has.
/// </summary>
/// <remarks>
/// Written on <see cref="WebSocket"/> and not on the platform's WebSocketStream because of its endings: there, the read after
/// the peer's Close throws, a text message passes as data, and disposal waits long and drops what was not read.
/// </remarks>
public abstract class WebSocketDuplexStream : DuplexStream
{
    private static readonly TimeSpan LastWordTimeout = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PeerReactionTimeout = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LingerTimeout = TimeSpan.FromSeconds(2);

    private readonly WebSocket _webSocket;
    private readonly CancellationToken _connectionClosed;
    private readonly TaskCompletionSource _lastReaderLeft = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly AbortLatch _abort = new();
    private Task _lastWord = Task.CompletedTask;
    private int _reading;
    private int _writing;
    private int _disposed;
    private bool _readEnded;
    private bool _writesCompleted;

    /// <summary>Takes over an open WebSocket.</summary>
    /// <param name="webSocket">The open WebSocket.</param>
    /// <param name="connectionClosed">
    /// On a web server, cancelled when the connection is gone: its writes into a dead connection succeed silently, and this is the
    /// only way to know.
    /// </param>
    private protected WebSocketDuplexStream(WebSocket webSocket, CancellationToken connectionClosed)
    {
        (_webSocket, _connectionClosed) = (webSocket, connectionClosed);
    }

    /// <summary>What a text or Close message means for the reading direction.</summary>
    private protected enum Signal
    {
        /// <summary>Nothing; read on.</summary>
        None,

        /// <summary>The peer has ended its direction.</summary>
        End,
    }

    /// <summary>The clock of last words and of how long the peer may take to hear them.</summary>
    internal TimeProvider Time { get; init; } = TimeProvider.System;

    private protected WebSocket WebSocket => _webSocket;

    private protected bool ReadEnded => _readEnded;

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_readEnded)
        {
            return 0;
        }

        _abort.ThrowIfSet();
        if (Interlocked.CompareExchange(ref _reading, 1, 0) != 0)
        {
            throw new InvalidOperationException("Another read is outstanding on this stream.");
        }

        try
        {
            return await ReceiveAsync(buffer, cancellationToken);
        }
        finally
        {
            Interlocked.Exchange(ref _reading, 0);
            if (_abort.IsSet)
            {
                _lastReaderLeft.TrySetResult();
            }
        }
    }

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_writesCompleted)
        {
            throw new InvalidOperationException("The writing direction of this stream has ended.");
        }

        while (!buffer.IsEmpty)
        {
            var message = buffer.Length <= TunnelProtocol.MaxPayload ? buffer : buffer[..TunnelProtocol.MaxPayload];
            await SendAsync(message, WebSocketMessageType.Binary, cancellationToken);
            buffer = buffer[message.Length..];
        }
    }

    /// <inheritdoc/>
    public override async ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default)
    {
        if (!_writesCompleted)
        {
            _writesCompleted = true;
            await SayEndAsync(cancellationToken);
        }
    }

    /// <inheritdoc/>
    public override void Abort(StreamAbort reason)
    {
        if (Volatile.Read(ref _disposed) != 0 || !_abort.TrySet(reason, byPeer: false))
        {
            return;
        }

        // A write that is stuck holds the socket; then the peer learns of the abort from the lost connection alone.
        if (Interlocked.CompareExchange(ref _writing, 1, 0) == 0)
        {
            _lastWord = SayAbortThenCutAsync(reason);
        }
        else
        {
            _webSocket.Abort();
        }
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (!_writesCompleted)
        {
            Abort(StreamAbort.Dropped);
        }

        if (Interlocked.Exchange(ref _disposed, 1) == 0 && !_abort.IsSet)
        {
            if (!_readEnded)
            {
                _abort.TrySet(StreamAbort.Dropped, byPeer: false);
            }

            await CloseAsync();
            if (!_readEnded)
            {
                await DrainAsync(LingerTimeout);
            }
        }

        await _lastWord;
        _webSocket.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Tells the peer that our direction has ended.</summary>
    private protected abstract ValueTask SayEndAsync(CancellationToken cancellationToken);

    /// <summary>Tells the peer that the stream is aborted, if the form of this WebSocket has a word for it.</summary>
    private protected abstract ValueTask SayAbortAsync(StreamAbort reason, CancellationToken cancellationToken);

    /// <summary>The peer sent a whole text message.</summary>
    private protected abstract Signal OnText(ReadOnlySpan<byte> utf8);

    /// <summary>The peer sent a Close frame.</summary>
    private protected abstract Signal OnClose();

    /// <summary>The transport failed under a read: the reason to abort for, or null when this is an ordinary end here.</summary>
    private protected abstract StreamAbort? OnTransportLost(Exception exception);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (!_readEnded)
        {
            ValueWebSocketReceiveResult received;
            try
            {
                received = await _webSocket.ReceiveAsync(buffer, cancellationToken);
            }
            catch (Exception exception) when (IsTransportFailure(exception, cancellationToken))
            {
                if (OnTransportLost(exception) is not { } reason || _abort.IsSet)
                {
                    _abort.ThrowIfSet();
                    _readEnded = true;
                    break;
                }

                throw Broken(reason, exception);
            }

            _abort.ThrowIfSet();
            switch (received.MessageType)
            {
                case WebSocketMessageType.Binary when received.Count > 0:
                    return received.Count;

                // Data waits for an empty buffer: a whole empty message would have ended here, and is no data.
                case WebSocketMessageType.Binary when buffer.IsEmpty && !received.EndOfMessage:
                    return 0;

                case WebSocketMessageType.Text:
                    _readEnded = await ReadTextAsync(buffer, received, cancellationToken) == Signal.End;
                    break;

                case WebSocketMessageType.Close:
                    _readEnded = OnClose() == Signal.End;
                    break;

                default:
                    break;
            }
        }

        return 0;
    }

    /// <summary>Sends one whole message; maps every failure to the one door, <see cref="Broken"/>.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private protected async ValueTask SendAsync(
        ReadOnlyMemory<byte> message, WebSocketMessageType type, CancellationToken cancellationToken)
    {
        _abort.ThrowIfSet();
        if (Interlocked.CompareExchange(ref _writing, 1, 0) != 0)
        {
            _abort.ThrowIfSet();
            throw new InvalidOperationException("Another write is outstanding on this stream.");
        }

        try
        {
            await _webSocket.SendAsync(message, type, endOfMessage: true, cancellationToken);
        }
        catch (Exception exception) when (IsTransportFailure(exception, cancellationToken))
        {
            throw Broken(LossOf(exception), exception);
        }
        finally
        {
            Volatile.Write(ref _writing, 0);
        }

        // A web server ends a write that its own abort cuts without a word.
        _abort.ThrowIfSet();
        if (_connectionClosed.IsCancellationRequested)
        {
            throw Broken(new StreamAbort(AbortCode.ConnectionLost, "the connection was lost"));
        }
    }

    /// <summary>The one door to the aborted state by the peer's doing: the first reason stays, the transport is cut.</summary>
    private protected StreamAbortedException Broken(StreamAbort reason, Exception? cause = null)
    {
        if (_abort.TrySet(reason, byPeer: true, cause))
        {
            _webSocket.Abort();
        }

        return _abort.ToException();
    }

    private protected static StreamAbort LossOf(Exception exception) => exception switch
    {
        WebSocketException { WebSocketErrorCode: WebSocketError.Faulted or WebSocketError.HeaderError or WebSocketError.InvalidMessageType }
            => new StreamAbort(AbortCode.ProtocolError, "the peer broke the WebSocket protocol"),
        _ => new StreamAbort(AbortCode.ConnectionLost, "the connection was lost"),
    };

    private static bool IsTransportFailure(Exception exception, CancellationToken cancellationToken) =>
        exception is WebSocketException or IOException or ObjectDisposedException or InvalidOperationException
        || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested);

    private async ValueTask<Signal> ReadTextAsync(
        Memory<byte> buffer, ValueWebSocketReceiveResult received, CancellationToken cancellationToken)
    {
        var text = new byte[TunnelProtocol.MaxChannelMessage];
        var count = Math.Min(received.Count, text.Length);
        var overflow = received.Count > text.Length;
        buffer.Span[..count].CopyTo(text);
        while (!received.EndOfMessage && !overflow)
        {
            if (count == text.Length)
            {
                overflow = true;
                break;
            }

            try
            {
                received = await _webSocket.ReceiveAsync(text.AsMemory(count), cancellationToken);
            }
            catch (Exception exception) when (IsTransportFailure(exception, cancellationToken))
            {
                throw Broken(LossOf(exception), exception);
            }

            count += received.Count;
        }

        if (overflow)
        {
            throw Broken(new StreamAbort(AbortCode.ProtocolError, $"a text message over {TunnelProtocol.MaxChannelMessage} bytes"));
        }

        return OnText(text.AsSpan(0, count));
    }

    private async Task SayAbortThenCutAsync(StreamAbort reason)
    {
        using var limit = new CancellationTokenSource(LastWordTimeout, Time);
        try
        {
            await SayAbortAsync(reason, limit.Token);

            // Cutting at once could overtake the word. The peer cuts when it has read it.
            await DrainAsync(PeerReactionTimeout);
        }
        catch (Exception exception) when (exception is WebSocketException or IOException or ObjectDisposedException
            or InvalidOperationException or OperationCanceledException)
        {
            // The peer is gone or does not read: cutting the connection tells it the same.
        }

        _webSocket.Abort();
    }

    private async ValueTask CloseAsync()
    {
        if (_webSocket.State is not (WebSocketState.Open or WebSocketState.CloseReceived))
        {
            return;
        }

        using var limit = new CancellationTokenSource(LastWordTimeout, Time);
        try
        {
            await _webSocket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, limit.Token);
        }
        catch (Exception exception) when (IsTransportFailure(exception, CancellationToken.None))
        {
            // Both directions have ended already; a lost goodbye loses nothing.
        }
    }

    /// <summary>
    /// Takes what still comes until the peer has closed, too: cutting a connection with bytes that were not read makes the kernel send a
    /// reset, and that may destroy at the peer what we wrote last.
    /// </summary>
    private async Task DrainAsync(TimeSpan atMost)
    {
        using var limit = new CancellationTokenSource(atMost, Time);
        var buffer = ArrayPool<byte>.Shared.Rent(16 * 1024);
        try
        {
            if (Interlocked.CompareExchange(ref _reading, 1, 0) != 0)
            {
                // Whatever wakes this reader tells it that the stream is aborted.
                await _lastReaderLeft.Task.WaitAsync(limit.Token);
            }

            while ((await _webSocket.ReceiveAsync(buffer.AsMemory(), limit.Token)).MessageType != WebSocketMessageType.Close)
            {
            }
        }
        catch (Exception exception) when (IsTransportFailure(exception, CancellationToken.None))
        {
            // The peer is gone, or takes its time to close: this was the last courtesy.
            _webSocket.Abort();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
