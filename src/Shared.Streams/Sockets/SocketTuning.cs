using System.Net.Sockets;

namespace Shared.Streams.Sockets;

/// <summary>The options of every TCP socket of ours: no delay for small messages, and a dead peer is noticed though nobody writes.</summary>
public static class SocketTuning
{
    private const int KeepAliveSeconds = 30;
    private const int ProbeSeconds = 5;
    private const int Probes = 3;

    // linux/tcp.h: level IPPROTO_TCP, option TCP_USER_TIMEOUT: how long sent bytes may stay unacknowledged.
    private const int LinuxTcpLevel = 6;
    private const int LinuxUserTimeout = 18;
    private const int UserTimeoutMilliseconds = 20_000;

    /// <summary>Applies them; does nothing to a Unix socket.</summary>
    public static void Apply(Socket socket)
    {
        if (socket.ProtocolType != ProtocolType.Tcp)
        {
            return;
        }

        socket.NoDelay = true;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, KeepAliveSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, ProbeSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, Probes);
        if (OperatingSystem.IsLinux())
        {
            Span<byte> value = stackalloc byte[sizeof(int)];
            BitConverter.TryWriteBytes(value, UserTimeoutMilliseconds);
            socket.SetRawSocketOption(LinuxTcpLevel, LinuxUserTimeout, value);
        }
    }
}
