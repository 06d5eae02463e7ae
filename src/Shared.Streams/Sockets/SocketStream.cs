using System.Net;
using System.Net.Sockets;
using Shared.Streams.Sockets.Epoll;

namespace Shared.Streams.Sockets;

/// <summary>
/// A connected TCP or Unix socket as a stream. End is FIN, abort is RST. A Unix socket has no RST: its abort is a plain close, which
/// the peer sees as a reset only if it had sent bytes that were not read.
/// </summary>
public abstract partial class SocketStream : DuplexStream
{
    private readonly AbortLatch _abort = new();
    private readonly TimeProvider _time;
    private volatile bool _readEnded;
    private volatile bool _writesCompleted;
    private volatile SocketError _sendError;

    private protected SocketStream(Socket socket, TimeProvider? time)
    {
        Socket = socket;
        _time = time ?? TimeProvider.System;

        // What is not asynchronous never waits.
        socket.Blocking = false;
    }

    /// <summary>The socket, with nothing that blocks.</summary>
    private protected Socket Socket { get; }

    /// <summary>Whether the stream is aborted or broken.</summary>
    internal bool IsAborted => _abort.IsSet;

    /// <summary>Whether the socket is closed.</summary>
    internal bool IsClosed => Socket.SafeHandle.IsClosed;

    /// <summary>What a write failed with.</summary>
    private protected SocketError SendError => _sendError;

    /// <summary>
    /// Takes over a connected socket with the options of <see cref="SocketTuning"/>; nobody else may use it any more.
    /// </summary>
    public static SocketStream Over(Socket socket) => EpollLoop.IsSupported ? new EpollSocketStream(socket) : new RuntimeSocketStream(socket);

    /// <summary>Takes over a socket that was accepted. Loops take turns with these, whichever accepts them.</summary>
    internal static SocketStream Accepted(Socket socket) =>
        EpollLoop.IsSupported ? new EpollSocketStream(socket, EpollLoop.NextInTurn()) : new RuntimeSocketStream(socket);

    /// <summary>Connects a socket and takes it over; which is closed when that fails.</summary>
    /// <exception cref="SocketException">It could not be connected.</exception>
    public static async ValueTask<SocketStream> ConnectAsync(Socket socket, IPEndPoint address, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (EpollLoop.IsSupported)
        {
            var stream = new EpollSocketStream(socket);
            try
            {
                await EpollConnect.ConnectAsync(stream, socket, address, cancellationToken);
                return stream;
            }
            catch
            {
                stream.Close();
                throw;
            }
        }

        await socket.ConnectAsync(address, cancellationToken);
        return new RuntimeSocketStream(socket);
    }

    /// <inheritdoc/>
    public sealed override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_readEnded)
        {
            return new(0);
        }

        if (_abort.IsSet)
        {
            return ValueTask.FromException<int>(_abort.ToException());
        }

        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<int>(cancellationToken);
        }

        try
        {
            return ReceiveAsync(buffer, cancellationToken);
        }
        catch (Exception exception) when (IsFailure(exception))
        {
            return ValueTask.FromException<int>(Broken(exception));
        }
    }

    /// <inheritdoc/>
    public sealed override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
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
            buffer = buffer[SendNow(buffer.Span)..];
            return buffer.IsEmpty ? ValueTask.CompletedTask : SendRestAsync(buffer, cancellationToken);
        }
        catch (Exception exception) when (IsFailure(exception))
        {
            return ValueTask.FromException(Broken(exception));
        }
    }

    /// <inheritdoc/>
    public sealed override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default)
    {
        if (!_writesCompleted)
        {
            _abort.ThrowIfSet();
            _writesCompleted = true;
            try
            {
                Socket.Shutdown(SocketShutdown.Send);
            }
            catch (SocketException exception) when (exception.SocketErrorCode == SocketError.NotConnected)
            {
                // The peer is gone, so there is nobody left to tell. Who reads learns of it.
            }
            catch (Exception exception) when (IsFailure(exception))
            {
                throw Broken(exception);
            }
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public sealed override void Abort(StreamAbort reason)
    {
        if (Volatile.Read(ref _disposed) == 0)
        {
            _abort.TrySet(reason, byPeer: false);
            CloseWithReset();
        }
    }

    /// <summary>Looks at what has arrived and leaves it where it is. Not while a read is outstanding.</summary>
    /// <returns>How many bytes there are to see, 0 when there are none.</returns>
    /// <exception cref="SocketException">The connection broke.</exception>
    public int Peek(Span<byte> buffer)
    {
        var count = Socket.Receive(buffer, SocketFlags.Peek, out var error);
        return error switch
        {
            SocketError.Success => count,
            SocketError.WouldBlock => 0,
            _ => throw new SocketException((int)error),
        };
    }

    /// <summary>
    /// Gives the socket back, with everything that was not read still in it. Not while a read or a write is outstanding; the stream is nobody's to
    /// use afterwards.
    /// </summary>
    public Socket Detach()
    {
        StopWatching();
        return Socket;
    }

    /// <summary>Receives what there is, or waits for it.</summary>
    /// <exception cref="SocketException">It broke; or <see cref="ObjectDisposedException"/>: it is closed.</exception>
    private protected abstract ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Sends what the system had no room for, as soon as it has.</summary>
    /// <inheritdoc cref="ReceiveAsync" path="/exception"/>
    private protected abstract ValueTask SendRestAsync(ReadOnlyMemory<byte> rest, CancellationToken cancellationToken);

    /// <summary>Lets somebody else wait for the socket.</summary>
    private protected abstract void StopWatching();

    /// <summary>The system watches the socket no longer.</summary>
    private protected abstract void OnClosed();

    /// <summary>Makes whoever waits for the socket fail, since the stream is aborted or disposed of.</summary>
    private protected abstract void EndWaits();

    /// <summary>Sends what there is room for.</summary>
    /// <returns>How many bytes; fewer when there is no more room.</returns>
    /// <exception cref="SocketException">It broke.</exception>
    internal int SendNow(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            return 0;
        }

        var count = Socket.Send(bytes, SocketFlags.None, out var error);
        switch (error)
        {
            case SocketError.Success:
                return count;
            case SocketError.WouldBlock:
                return 0;
            default:
                _sendError = error;
                throw new SocketException((int)error);
        }
    }

    /// <summary>Notes the end.</summary>
    /// <exception cref="StreamAbortedException">It is not the peer's, but what our own closing made.</exception>
    private protected int Received(int count, bool onlyWaited)
    {
        if (count == 0 && !onlyWaited)
        {
            _abort.ThrowIfSet();
            _readEnded = true;
        }

        return count;
    }

    private protected static bool IsFailure(Exception exception) => exception is SocketException or ObjectDisposedException or StreamAbortedException;

    /// <summary>What a wait fails with.</summary>
    internal Exception Translate(Exception exception) => IsFailure(exception) ? Broken(exception) : exception;

    /// <summary>The one door to the aborted state from underneath; the first reason stays.</summary>
    private protected StreamAbortedException Broken(Exception cause)
    {
        if (cause is StreamAbortedException aborted)
        {
            return aborted;
        }

        var (reason, byPeer) = cause switch
        {
            SocketException { SocketErrorCode: SocketError.ConnectionReset or SocketError.Shutdown or SocketError.ConnectionAborted or SocketError.NotConnected } =>
                (StreamAbort.Reset, true),
            ObjectDisposedException or SocketException { SocketErrorCode: SocketError.OperationAborted } => (StreamAbort.Dropped, false),
            SocketException { SocketErrorCode: SocketError.NoBufferSpaceAvailable } => (new StreamAbort(AbortCode.ConnectionLost, cause.Message), false),
            _ => (new StreamAbort(AbortCode.ConnectionLost, cause.Message), true),
        };
        _abort.TrySet(reason, byPeer, cause);
        return _abort.ToException();
    }
}
