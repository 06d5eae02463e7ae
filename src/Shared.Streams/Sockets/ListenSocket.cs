using System.Net;
using System.Net.Sockets;

namespace Shared.Streams.Sockets;

/// <summary>Binds sockets to listen on, and says why one cannot be bound and what to do.</summary>
public static class ListenSocket
{
    /// <summary>Owner and group may connect to a Unix socket, nobody else.</summary>
    public const UnixFileMode DefaultMode =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;

    private const int Backlog = 1024;

    /// <summary>Binds and listens; at [::] for every address, those of IPv4 too.</summary>
    /// <param name="address">Where.</param>
    /// <param name="configure">Sets a TCP socket's options before it is bound.</param>
    /// <param name="mode">Who may connect to a Unix socket.</param>
    /// <exception cref="IOException">It cannot be bound; the message says why and what to do.</exception>
    public static Socket Bind(ListenAddress address, Action<Socket>? configure = null, UnixFileMode mode = DefaultMode)
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
                configure?.Invoke(socket);
                if (IPAddress.IPv6Any.Equals(address.IPEndPoint!.Address))
                {
                    socket.DualMode = true;
                }

                socket.Bind(address.IPEndPoint);
            }

            socket.Listen(Backlog);
            return socket;
        }
        catch (Exception exception) when (exception is SocketException or UnauthorizedAccessException)
        {
            socket.Dispose();
            throw new IOException($"Cannot listen on {address}: {Reason(address, exception)}", exception);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
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

    private static string Reason(ListenAddress address, Exception exception) => (address.UnixPath, exception) switch
    {
        ({ } path, _) when Path.GetDirectoryName(path) is { } directory && !Directory.Exists(directory) =>
            $"the directory {directory} does not exist, or this user may not look into it. Create it, or choose another path.",
        ({ } path, UnauthorizedAccessException or SocketException { SocketErrorCode: SocketError.AccessDenied }) =>
            $"permission denied. This user must be allowed to write in {Path.GetDirectoryName(path)}.",
        (null, SocketException { SocketErrorCode: SocketError.AccessDenied }) =>
            "permission denied. Ports below 1024 need CAP_NET_BIND_SERVICE.",
        (_, SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse }) =>
            "the address is in use. Stop the process that holds it, or choose another one.",
        (null, SocketException { SocketErrorCode: SocketError.AddressNotAvailable }) =>
            "this machine does not have that address.",
        _ => $"{exception.Message}.",
    };
}
