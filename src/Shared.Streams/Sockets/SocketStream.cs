using System.Buffers;
using System.Net.Sockets;

namespace Shared.Streams.Sockets;

/// <summary>
/// A connected TCP or Unix socket as a stream. End is FIN, abort is RST. A Unix socket has no RST: its abort is a plain close, which
/// the peer sees as a reset only if it had sent bytes that were not read.
/// </summary>
public sealed partial class SocketStream : DuplexStream
{
    private static readonly TimeSpan LingerTimeout = TimeSpan.FromSeconds(2);

    private readonly Socket _socket;
    private readonly AbortLatch _abort = new();
    private PendingRead? _pendingRead;
    private PendingWrite? _pendingWrite;
    private int _disposed;
    private volatile bool _readEnded;
    private volatile bool _writesCompleted;

    /// <summary>
    /// Takes over a connected socket with the options of <see cref="SocketTuning"/>; nobody else may use it any more.
    /// </summary>
    public SocketStream(Socket socket)
    {
        _socket = socket;

        // What is not asynchronous never waits.
        socket.Blocking = false;
    }

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_readEnded)
        {
            return new(0);
        }

        if (_abort.IsSet)
        {
            return ValueTask.FromException<int>(_abort.ToException());
        }

        try
        {
            var receiving = _socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken);
            return receiving.IsCompletedSuccessfully
                ? new(Received(receiving.Result, buffer.IsEmpty))
                : (_pendingRead ??= new PendingRead(this)).WaitAsync(receiving, buffer.IsEmpty);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException or StreamAbortedException)
        {
            return ValueTask.FromException<int>(exception as StreamAbortedException ?? Broken(exception));
        }
    }

    /// <inheritdoc/>
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_writesCompleted)
        {
            return ValueTask.FromException(new InvalidOperationException("The writing direction of this stream has ended."));
        }

        if (_abort.IsSet)
        {
            return ValueTask.FromException(_abort.ToException());
        }

        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancellationToken);
        }

        try
        {
            // The system takes most writes at once; only one that it does not take needs what an asynchronous one needs.
            if (!buffer.IsEmpty)
            {
                buffer = buffer[_socket.Send(buffer.Span, SocketFlags.None, out var error)..];
                if (error is not (SocketError.Success or SocketError.WouldBlock))
                {
                    return ValueTask.FromException(Broken(new SocketException((int)error)));
                }
            }
        }
        catch (ObjectDisposedException exception)
        {
            return ValueTask.FromException(Broken(exception));
        }

        return buffer.IsEmpty ? ValueTask.CompletedTask : (_pendingWrite ??= new PendingWrite(this)).SendAsync(buffer, cancellationToken);
    }

    /// <inheritdoc/>
    public override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default)
    {
        if (!_writesCompleted)
        {
            _abort.ThrowIfSet();
            _writesCompleted = true;
            try
            {
                _socket.Shutdown(SocketShutdown.Send);
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                throw Broken(exception);
            }
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override void Abort(StreamAbort reason)
    {
        if (Volatile.Read(ref _disposed) == 0 && _abort.TrySet(reason, byPeer: false))
        {
            CloseWithReset();
        }
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (!_writesCompleted)
        {
            Abort(StreamAbort.Dropped);
        }

        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            if (!_readEnded && _abort.TrySet(StreamAbort.Dropped, byPeer: false))
            {
                await LingerAsync();
            }

            _socket.Dispose();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>
    /// Takes what still comes until the peer has seen our end and closed: closing a socket with bytes that were not read makes the kernel
    /// send a reset, and that may destroy at the peer what we wrote last.
    /// </summary>
    private async Task LingerAsync()
    {
        using var limit = new CancellationTokenSource(LingerTimeout);
        var buffer = ArrayPool<byte>.Shared.Rent(16 * 1024);
        try
        {
            while (await _socket.ReceiveAsync(buffer, SocketFlags.None, limit.Token) > 0)
            {
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // The peer is gone, or takes its time to close: this was the last courtesy.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private int Received(int count, bool onlyWaited)
    {
        if (count == 0 && !onlyWaited)
        {
            // An end that our own closing made is not the peer's.
            _abort.ThrowIfSet();
            _readEnded = true;
        }

        return count;
    }

    private void CloseWithReset()
    {
        try
        {
            if (_socket.ProtocolType == ProtocolType.Tcp)
            {
                _socket.LingerState = new LingerOption(enable: true, seconds: 0);
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The connection is gone already, so there is nobody left to send a reset to.
        }

        _socket.Dispose();
    }

    /// <summary>The one door to the aborted state from underneath; the first reason stays.</summary>
    private StreamAbortedException Broken(Exception cause)
    {
        var (reason, byPeer) = cause switch
        {
            SocketException { SocketErrorCode: SocketError.ConnectionReset or SocketError.Shutdown or SocketError.ConnectionAborted or SocketError.NotConnected } =>
                (StreamAbort.Reset, true),
            ObjectDisposedException or SocketException { SocketErrorCode: SocketError.OperationAborted } => (StreamAbort.Dropped, false),
            _ => (new StreamAbort(AbortCode.ConnectionLost, cause.Message), true),
        };
        _abort.TrySet(reason, byPeer, cause);
        return _abort.ToException();
    }
}
