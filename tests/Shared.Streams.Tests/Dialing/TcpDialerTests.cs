using System.Net;
using System.Net.Sockets;
using Shared.Streams.Dialing;
using Shared.Streams.Sockets.Epoll;

namespace Shared.Streams.Tests.Dialing;

public sealed class TcpDialerTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("localhost")]
    [InlineData("anything.tunnel.localhost")]
    public async Task Name_of_this_machine_is_dialled(string host)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();

        await using var stream = await Dialer(host, PortOf(listener)).DialAsync(TestContext.Current.CancellationToken);

        using var accepted = await listener.AcceptSocketAsync(TestContext.Current.CancellationToken);
        Assert.True(accepted.Connected);
    }

    [Fact]
    public async Task Localhost_that_only_listens_on_IPv6_is_reached_by_the_second_address()
    {
        using var listener = new TcpListener(IPAddress.IPv6Loopback, 0);
        listener.Start();

        await using var stream = await Dialer("localhost", PortOf(listener)).DialAsync(TestContext.Current.CancellationToken);

        Assert.True(listener.Pending() || (await listener.AcceptSocketAsync(TestContext.Current.CancellationToken)).Connected);
    }

    [Fact]
    public async Task Refused_connection_names_hop_and_code()
    {
        using var taken = Unserved(out var port);

        var exception = await Assert.ThrowsAsync<DialException>(async () => await Dialer("localhost", port).DialAsync(CancellationToken.None));

        Assert.Equal((Hop.Connect, "connection-refused"), (exception.Hop, exception.Code));
        Assert.Contains($"localhost:{port}", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Connections_that_fail_leave_nothing_behind()
    {
        Assert.SkipUnless(EpollLoop.IsSupported, "the runtime's own loop is the runtime's");
        using var taken = Unserved(out var port);
        const int Dials = 2000;
        var before = EpollLoop.Watched;

        for (var dial = 0; dial < Dials; dial++)
        {
            await Assert.ThrowsAsync<DialException>(async () => await Dialer("127.0.0.1", port).DialAsync(CancellationToken.None));
        }

        // Other tests watch some at the same time.
        Assert.InRange(EpollLoop.Watched - before, -Dials, Dials / 2);
    }

    [Fact]
    public async Task End_that_a_peer_that_is_gone_cannot_hear_is_no_failure()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        await using var stream = await Dialer("127.0.0.1", PortOf(listener)).DialAsync(TestContext.Current.CancellationToken);
        using (var accepted = await listener.AcceptSocketAsync(TestContext.Current.CancellationToken))
        {
            await accepted.SendAsync(new byte[1], TestContext.Current.CancellationToken);
        }

        Assert.Equal(1, await stream.ReadAsync(new byte[10], TestContext.Current.CancellationToken));
        Assert.Equal(0, await stream.ReadAsync(new byte[10], TestContext.Current.CancellationToken));
        await stream.WriteAsync(new byte[1], TestContext.Current.CancellationToken);

        await stream.CompleteWritesAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Unknown_name_names_the_resolve_hop()
    {
        var exception = await Assert.ThrowsAsync<DialException>(
            async () => await Dialer("no-such-host.invalid", 5432).DialAsync(CancellationToken.None));

        Assert.Equal((Hop.Resolve, "not-resolved"), (exception.Hop, exception.Code));
    }

    [Fact]
    public async Task Peer_that_takes_no_connection_is_a_timeout()
    {
        // A listener whose backlog is full drops the handshake's first packet, as a firewall does.
        using var full = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        full.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        full.Listen(0);
        var endPoint = (IPEndPoint)full.LocalEndPoint!;
        var fillers = new List<Socket>();
        try
        {
            for (var i = 0; i < 4; i++)
            {
                var filler = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
                fillers.Add(filler);
                Assert.Throws<SocketException>(() => filler.Connect(endPoint));
            }

            var dialer = new TcpDialer("127.0.0.1", endPoint.Port, TimeSpan.FromMilliseconds(300), TimeProvider.System);
            var exception = await Assert.ThrowsAsync<DialException>(async () => await dialer.DialAsync(CancellationToken.None));

            Assert.Equal((Hop.Connect, "timeout"), (exception.Hop, exception.Code));
        }
        finally
        {
            fillers.ForEach(static filler => filler.Dispose());
        }
    }

    [Fact]
    public async Task Cancelled_dial_is_a_cancellation_not_a_failure()
    {
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await Dialer("localhost", 9).DialAsync(cancelled.Token));
    }

    [Fact]
    public async Task Missing_unix_socket_is_named()
    {
        var path = Path.Combine(Path.GetTempPath(), $"absent-{Guid.NewGuid():N}.sock");

        var exception = await Assert.ThrowsAsync<DialException>(
            async () => await new UnixDialer(path, Patience, TimeProvider.System).DialAsync(CancellationToken.None));

        Assert.Equal("no-such-socket", exception.Code);
        Assert.Contains(path, exception.Message, StringComparison.Ordinal);
    }

    /// <summary>A port of this machine that refuses connections, and that nobody else is given meanwhile.</summary>
    private static Socket Unserved(out int port)
    {
        var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
        socket.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
        port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        return socket;
    }

    private static TcpDialer Dialer(string host, int port) => new(host, port, Patience, TimeProvider.System);

    private static int PortOf(TcpListener listener) => ((IPEndPoint)listener.LocalEndpoint).Port;
}
