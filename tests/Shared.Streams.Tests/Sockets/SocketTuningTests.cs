using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Shared.Streams.Sockets;

namespace Shared.Streams.Tests.Sockets;

public sealed class SocketTuningTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public void Stalled_reader_is_not_taken_for_a_dead_peer()
    {
        // With TCP_USER_TIMEOUT the kernel would cut the connection of a reader that pauses for longer.
        const int TcpUserTimeout = 18;
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the option is Linux's");
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        SocketTuning.Apply(socket);

        var value = new byte[sizeof(int)];
        socket.GetRawSocketOption((int)SocketOptionLevel.Tcp, TcpUserTimeout, value);
        Assert.Equal(0, BinaryPrimitives.ReadInt32LittleEndian(value));
        Assert.True(socket.NoDelay);
        Assert.NotEqual(0, (int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive)!);
    }

    [Fact]
    public async Task Accepted_connections_have_the_options_of_their_listener()
    {
        using var listening = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        SocketTuning.Apply(listening);
        listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listening.Listen();
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listening.LocalEndPoint!, Cancelled);

        using var accepted = await listening.AcceptAsync(Cancelled);

        Assert.True(accepted.NoDelay);
        foreach (var (level, option) in new[]
        {
            (SocketOptionLevel.Socket, SocketOptionName.KeepAlive), (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime),
            (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval), (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount),
        })
        {
            Assert.Equal((int)listening.GetSocketOption(level, option)!, (int)accepted.GetSocketOption(level, option)!);
        }

        if (OperatingSystem.IsLinux() && Environment.OSVersion.Version >= new Version(6, 15))
        {
            Assert.Equal(RawOption(listening), RawOption(accepted));
        }

        static int RawOption(Socket socket)
        {
            const int LinuxRtoMax = 44;
            var value = new byte[sizeof(int)];
            socket.GetRawSocketOption((int)SocketOptionLevel.Tcp, LinuxRtoMax, value);
            return BinaryPrimitives.ReadInt32LittleEndian(value);
        }
    }
}
