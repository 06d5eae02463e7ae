using System.Net;
using System.Net.Sockets;
using Shared.Streams.Sockets.Epoll;

namespace Shared.Streams.Sockets;

/// <summary>A bound TCP or Unix socket that accepts streams. One acceptor at a time; <see cref="DisposeAsync"/> may be called by anyone.</summary>
public sealed class StreamListener : IAsyncDisposable
{
    /// <summary>Owner and group may connect to a Unix socket, nobody else.</summary>
    public const UnixFileMode DefaultMode =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;

    private const int Backlog = 1024;

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
    public static StreamListener Bind(ListenAddress address, UnixFileMode mode = DefaultMode)
    {
        var socket = address.UnixPath is null
            ? new Socket(address.IPEndPoint!.AddressFamily, SocketType.Stream, ProtocolType.Tcp)
            : new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            if (address.UnixPath is { } path)
            {
                RemoveStale(path);
                socket.Bind(new UnixDomainSocketEndPoint(path));

                // Nobody can connect between bind and listen, so the mode is in force from the first connection on.
                if (!OperatingSystem.IsWindows())
                {
                    File.SetUnixFileMode(path, mode);
                }
            }
            else
            {
                SocketTuning.Apply(socket);
                socket.Bind(address.IPEndPoint!);
            }

            socket.Listen(Backlog);
            return new StreamListener(socket, socket.LocalEndPoint is IPEndPoint bound ? ListenAddress.Of(bound) : address);
        }
        catch (Exception exception) when (exception is SocketException or UnauthorizedAccessException)
        {
            socket.Dispose();
            throw Failure(address, exception);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

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
            var remote = socket.RemoteEndPoint is IPEndPoint endPoint ? endPoint.ToString() : LocalAddress.ToString();
            return new AcceptedStream(SocketStream.Accepted(socket), remote);
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

    // A file that a killed process left behind refuses connections; one that answers belongs to somebody.
    private static void RemoveStale(string path)
    {
        if (!File.Exists(path))
        {
            return;
        }

        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.ConnectionRefused && IsSocket(path))
        {
            File.Delete(path);
            return;
        }

        throw new IOException($"Cannot listen on unix:{path}: another process listens there.");
    }

    // connect(2) refuses an ordinary file, too; that one is not ours to delete. A socket has no length and cannot be opened.
    private static bool IsSocket(string path)
    {
        try
        {
            // For reading and writing, because opening a FIFO for reading alone would wait for a writer.
            using var file = File.Open(path, FileMode.Open, FileAccess.ReadWrite);
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private static IOException Failure(ListenAddress address, Exception exception) => exception switch
    {
        SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse } =>
            new IOException($"Cannot listen on {address}: the address is in use. Stop the process that holds it, or choose another one.", exception),
        UnauthorizedAccessException or SocketException { SocketErrorCode: SocketError.AccessDenied } =>
            new IOException($"Cannot listen on {address}: permission denied. Ports below 1024 need CAP_NET_BIND_SERVICE; a socket needs a directory this user may write.", exception),
        SocketException { SocketErrorCode: SocketError.AddressNotAvailable } =>
            new IOException($"Cannot listen on {address}: this machine does not have that address.", exception),
        _ => new IOException($"Cannot listen on {address}: {exception.Message}.", exception),
    };
}

/// <summary>A connection that was accepted.</summary>
/// <param name="Stream">Its bytes.</param>
/// <param name="Remote">Where it comes from, for the log.</param>
public sealed record AcceptedStream(SocketStream Stream, string Remote);
