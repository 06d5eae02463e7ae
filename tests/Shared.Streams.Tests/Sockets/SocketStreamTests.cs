using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Shared.Streams.Sockets;

namespace Shared.Streams.Tests.Sockets;

/// <summary>A stream on one end and a raw socket on the other, to see what really is on the wire.</summary>
public sealed class SocketStreamTests
{
    private const int MiB = 1024 * 1024;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Abort_is_a_reset_on_the_wire()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;

        stream.Abort(new StreamAbort(AbortCode.Shutdown));

        var error = await Assert.ThrowsAsync<SocketException>(() => ReceiveAsync(raw));
        Assert.Equal(SocketError.ConnectionReset, error.SocketErrorCode);
        await stream.DisposeAsync();
    }

    [Fact]
    public async Task Completed_writes_are_a_FIN_on_the_wire_behind_all_bytes()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        await stream.WriteAsync(new byte[1000], Cancelled);
        await stream.CompleteWritesAsync(Cancelled);

        Assert.Equal(1000, await CountToEndAsync(raw));
        await stream.DisposeAsync();
    }

    [Fact]
    public async Task Reset_by_the_peer_is_an_abort_for_reads_writes_and_ends()
    {
        var (stream, raw) = await ConnectAsync();
        await using var __ = stream;
        raw.LingerState = new LingerOption(true, 0);
        raw.Dispose();

        var read = await Assert.ThrowsAsync<StreamAbortedException>(() => stream.ReadAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        var write = await Assert.ThrowsAsync<StreamAbortedException>(() => stream.WriteAsync(new byte[1], Cancelled).AsTask());
        var end = await Assert.ThrowsAsync<StreamAbortedException>(() => stream.CompleteWritesAsync(Cancelled).AsTask());

        Assert.All([read, write, end], static abort => Assert.Equal((StreamAbort.Reset, true), (abort.Reason, abort.ByPeer)));
    }

    [Fact]
    public async Task Write_to_a_peer_that_is_gone_is_an_abort()
    {
        var (stream, raw) = await ConnectAsync();
        await using var __ = stream;
        raw.Dispose();

        var abort = await Assert.ThrowsAsync<StreamAbortedException>(async () =>
        {
            while (true)
            {
                await stream.WriteAsync(new byte[1000], Cancelled).AsTask().WaitAsync(Patience, Cancelled);
            }
        });
        Assert.Equal((AbortCode.Reset, true), (abort.Reason.Code, abort.ByPeer));
    }

    [Fact]
    public async Task Disposal_after_our_end_with_a_mebibyte_unread_destroys_nothing_in_flight()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        var sending = SendAllAsync(raw, MiB);
        var counting = CountToEndAsync(raw);
        await stream.WriteAsync(new byte[MiB], Cancelled);
        await stream.CompleteWritesAsync(Cancelled);

        var disposal = stream.DisposeAsync().AsTask();

        Assert.Equal(MiB, await counting);
        await sending;
        raw.Shutdown(SocketShutdown.Send);
        await disposal.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task Disposal_after_our_end_does_not_wait_for_a_peer_that_never_closes()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        await stream.CompleteWritesAsync(Cancelled);

        await stream.DisposeAsync().AsTask().WaitAsync(Patience, Cancelled);
    }

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

    private static async Task<(SocketStream Stream, Socket Raw)> ConnectAsync()
    {
        await using var listener = StreamListener.Bind(ListenAddress.Of(new IPEndPoint(IPAddress.Loopback, 0)));
        var raw = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await raw.ConnectAsync(listener.LocalAddress.IPEndPoint!, Cancelled);
        return ((await listener.AcceptAsync(Cancelled)).Stream, raw);
    }

    private static Task<int> ReceiveAsync(Socket socket) =>
        socket.ReceiveAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled);

    private static async Task SendAllAsync(Socket socket, int bytes)
    {
        for (var left = bytes; left > 0;)
        {
            left -= await socket.SendAsync(new byte[Math.Min(left, 64 * 1024)], Cancelled).AsTask().WaitAsync(Patience, Cancelled);
        }
    }

    private static async Task<int> CountToEndAsync(Socket socket)
    {
        var buffer = new byte[64 * 1024];
        var bytes = 0;
        while (await socket.ReceiveAsync(buffer, Cancelled).AsTask().WaitAsync(Patience, Cancelled) is > 0 and var count)
        {
            bytes += count;
        }

        return bytes;
    }
}
