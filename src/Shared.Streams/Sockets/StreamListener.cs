using System.Net;
using System.Net.Sockets;
using Shared.Streams.Sockets.Epoll;

namespace Shared.Streams.Sockets;

/// <summary>A bound TCP or Unix socket that accepts streams. One acceptor at a time; <see cref="DisposeAsync"/> may be called by anyone.</summary>
public sealed class StreamListener : IAsyncDisposable
{
    private readonly Socket _socket;
    private readonly EpollAccept? _epoll;

    private StreamListener(Socket socket, ListenAddress address)
    {
        _socket = socket;
        _epoll = EpollLoop.IsSupported ? new EpollAccept(socket) : null;
        LocalAddress = address;
    }

    /// <summary>The address with the port that the system chose.</summary>
    public ListenAddress LocalAddress { get; }

    /// <summary>Binds and listens.</summary>
    /// <param name="address">Where.</param>
    /// <param name="mode">Who may connect to a Unix socket.</param>
    /// <exception cref="IOException">It cannot be bound; the message says why and what to do.</exception>
    public static StreamListener Bind(ListenAddress address, UnixFileMode mode = ListenSocket.DefaultMode) =>
        Over(ListenSocket.Bind(address, SocketTuning.Apply, mode), address);

    /// <summary>Takes over a socket that listens already.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="address">What it was bound to; the system may have chosen the port.</param>
    public static StreamListener Over(Socket socket, ListenAddress address) =>
        new(socket, address.BoundBy(socket));

    /// <summary>
    /// Waits for the next connection. Whoever waited goes on on the thread of a loop that other sockets wait for, so he must not block.
    /// </summary>
    /// <exception cref="SocketException">Accepting failed, for example for want of file descriptors; trying again later may work.</exception>
    /// <exception cref="ObjectDisposedException">The listener was disposed of.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async ValueTask<AcceptedStream> AcceptAsync(CancellationToken cancellationToken)
    {
        Socket socket;
        try
        {
            socket = await (_epoll?.AcceptAsync(cancellationToken) ?? _socket.AcceptAsync(cancellationToken));
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.OperationAborted)
        {
            // The runtime's way of saying so.
            throw new ObjectDisposedException(nameof(StreamListener), exception);
        }

        try
        {
            var remote = socket.RemoteEndPoint as IPEndPoint;
            return new AcceptedStream(SocketStream.Accepted(socket), remote?.ToString() ?? LocalAddress.ToString(), remote);
        }
        catch
        {
            // It may have been reset before we came to look at it.
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Stops listening. A Unix socket's file goes with it: the platform's socket removes what it has bound.</summary>
    public ValueTask DisposeAsync()
    {
        _socket.Dispose();
        _epoll?.OnClosed();
        return ValueTask.CompletedTask;
    }
}

/// <summary>A connection that was accepted.</summary>
/// <param name="Stream">Its bytes.</param>
/// <param name="Remote">Where it comes from, for the log.</param>
/// <param name="RemoteEndPoint">The same; null for a Unix socket.</param>
public sealed record AcceptedStream(SocketStream Stream, string Remote, IPEndPoint? RemoteEndPoint);
