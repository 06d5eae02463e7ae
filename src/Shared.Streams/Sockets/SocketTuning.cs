using System.Net.Sockets;

namespace Shared.Streams.Sockets;

/// <summary>The options of every TCP socket of ours: no delay for small messages, and a dead peer is noticed though nobody writes.</summary>
/// <remarks>
/// TCP_USER_TIMEOUT is not set although it is made for dead peers: on Linux it also cuts a healthy connection whose peer stops reading
/// for that long (its window stays closed), and a stalled reader is what back-pressure is for.
/// </remarks>
public static class SocketTuning
{
    private const int KeepAliveSeconds = 30;
    private const int ProbeSeconds = 5;
    private const int Probes = 3;

    // linux/tcp.h since 6.15: level IPPROTO_TCP, option TCP_RTO_MAX_MS. Keep-alive rests while sent bytes are unacknowledged; then the
    // retransmissions decide, which give up after 15 minutes by default and after about a minute with pauses of at most 5 s.
    private const int LinuxTcpLevel = 6;
    private const int LinuxRtoMax = 44;
    private const int RtoMaxMilliseconds = 5_000;

    /// <summary>Applies them, to a listening socket for all that it accepts; does nothing to a Unix socket.</summary>
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
        if (HasRtoMax)
        {
            Span<byte> value = stackalloc byte[sizeof(int)];
            BitConverter.TryWriteBytes(value, RtoMaxMilliseconds);
            socket.SetRawSocketOption(LinuxTcpLevel, LinuxRtoMax, value);
        }
    }

    private static bool HasRtoMax { get; } = OperatingSystem.IsLinux() && Environment.OSVersion.Version >= new Version(6, 15);
}
