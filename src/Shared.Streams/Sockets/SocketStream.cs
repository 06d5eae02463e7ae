using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Shared.Streams.Sockets;

/// <summary>
/// A connected TCP or Unix socket as a stream. End is FIN, abort is RST. A Unix socket has no RST: its abort is a plain close, which
/// the peer sees as a reset only if it had sent bytes that were not read.
/// </summary>
public sealed class SocketStream : DuplexStream
{
    private readonly Socket _socket;
    private StreamAbortedException? _abort;
    private int _disposed;
    private volatile bool _readEnded;
    private volatile bool _writesCompleted;

    /// <summary>Takes over a connected socket; nobody else may use it any more.</summary>
    public SocketStream(Socket socket)
    {
        _socket = socket;
        SocketTuning.Apply(socket);
    }

    private bool IsAborted => Volatile.Read(ref _abort) is not null;

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_readEnded)
        {
            return 0;
        }

        ThrowIfAborted();
        try
        {
            var count = await _socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken);
            _readEnded |= count == 0 && !buffer.IsEmpty;
            return count;
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            throw Broken(exception);
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

        ThrowIfAborted();
        try
        {
            while (!buffer.IsEmpty)
            {
                var sent = await _socket.SendAsync(buffer, SocketFlags.None, cancellationToken);
                buffer = buffer[sent..];
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            throw Broken(exception);
        }
    }

    /// <inheritdoc/>
    public override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default)
    {
        if (!_writesCompleted)
        {
            ThrowIfAborted();
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
        if (Volatile.Read(ref _disposed) == 0
            && Interlocked.CompareExchange(ref _abort, new StreamAbortedException(reason, byPeer: false), null) is null)
        {
            CloseWithReset();
        }
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        if (!_writesCompleted)
        {
            Abort(new StreamAbort(AbortCode.Dropped, "dropped before its end"));
        }

        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _socket.Dispose();
        }

        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
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

    private void ThrowIfAborted()
    {
        if (Volatile.Read(ref _abort) is { } abort)
        {
            throw new StreamAbortedException(abort.Reason, abort.ByPeer, abort.InnerException);
        }

        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);
    }

    /// <summary>The one door to the aborted state by the peer's doing; the first reason stays.</summary>
    private StreamAbortedException Broken(Exception cause)
    {
        var abort = new StreamAbortedException(ReasonOf(cause), byPeer: true, cause);
        var first = Interlocked.CompareExchange(ref _abort, abort, null);
        return first is null ? abort : new StreamAbortedException(first.Reason, first.ByPeer, first.InnerException);
    }

    private static StreamAbort ReasonOf(Exception cause) => cause switch
    {
        SocketException { SocketErrorCode: SocketError.ConnectionReset or SocketError.Shutdown or SocketError.ConnectionAborted } => StreamAbort.Reset,
        SocketException socket => new StreamAbort(AbortCode.ConnectionLost, socket.Message),
        _ => new StreamAbort(AbortCode.Dropped, "the stream is disposed"),
    };
}
