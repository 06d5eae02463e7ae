using System.Net.Sockets;
using System.Security.Cryptography;

namespace Tunnel.EndToEnd.Tests;

/// <summary>What raw sockets at both ends see: FIN, RST, many streams.</summary>
public sealed class WireTests(ClusterFixture fixture, ITestOutputHelper output)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("forwarder", true)]
    [InlineData("forwarder", false)]
    [InlineData("ingress", true)]
    [InlineData("ingress", false)]
    public async Task Sixty_four_MiB_after_the_peers_FIN_arrive_whole(string way, bool applicationEndsFirst)
    {
        var (application, target) = await ConnectAsync(way);
        using var near = application;
        using var far = target;
        var (first, second) = applicationEndsFirst ? (application, target) : (target, application);
        await first.SendAsync("last words"u8.ToArray(), Cancelled);
        first.Shutdown(SocketShutdown.Send);
        Assert.Equal(10, (await second.ReceiveToEndAsync()).Length);
        var data = RandomNumberGenerator.GetBytes(64 * 1024 * 1024);

        var sending = Task.Run(async () =>
        {
            await SendAllAsync(second, data);
            second.Shutdown(SocketShutdown.Send);
        }, Cancelled);
        var received = await first.ReceiveToEndAsync().WaitAsync(Patience, Cancelled);
        await sending;

        Assert.Equal(SHA256.HashData(data), SHA256.HashData(received));
    }

    [Theory]
    [InlineData("forwarder", true)]
    [InlineData("forwarder", false)]
    [InlineData("ingress", true)]
    [InlineData("ingress", false)]
    public async Task Reset_arrives_as_a_reset(string way, bool applicationResets)
    {
        var (application, target) = await ConnectAsync(way);
        using var near = application;
        using var far = target;
        var (resetting, other) = applicationResets ? (application, target) : (target, application);
        resetting.LingerState = new LingerOption(true, 0);

        resetting.Close();

        var exception = await Assert.ThrowsAsync<SocketException>(() => other.ReceiveAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        Assert.Equal(SocketError.ConnectionReset, exception.SocketErrorCode);
    }

    [Theory]
    [InlineData("forwarder")]
    [InlineData("ingress")]
    public async Task Simultaneous_FINs_lose_nothing(string way)
    {
        var (application, target) = await ConnectAsync(way);
        using var near = application;
        using var far = target;
        await Task.WhenAll(SendAllAsync(application, new byte[1000]), SendAllAsync(target, new byte[2000]));
        application.Shutdown(SocketShutdown.Send);
        target.Shutdown(SocketShutdown.Send);

        Assert.Equal(2000, (await application.ReceiveToEndAsync()).Length);
        Assert.Equal(1000, (await target.ReceiveToEndAsync()).Length);
    }

    [Theory]
    [InlineData("forwarder")]
    [InlineData("ingress")]
    public async Task A_thousand_streams_at_once_carry_their_own_bytes(string way)
    {
        using var echo = EchoTarget();
        await Task.WhenAll(Enumerable.Range(0, 1000).Select(seed => ExchangeAsync(way, seed))).WaitAsync(TimeSpan.FromMinutes(2), Cancelled);
    }

    [Fact]
    public async Task Five_thousand_idle_streams_stay_open_while_others_work()
    {
        const int Idle = 5000;
        using var echo = EchoTarget();
        var before = fixture.Cluster.Ingress.ResidentBytes;
        var idle = new List<Socket>();
        try
        {
            // In portions, as a burst of 5,000 TLS handshakes says nothing about idling.
            while (idle.Count < Idle)
            {
                idle.AddRange(await Task.WhenAll(Enumerable.Range(0, 100).Select(async _ =>
                {
                    var socket = await DialAsync("ingress");
                    await SendAllAsync(socket, "ping"u8.ToArray());
                    Assert.Equal("ping"u8.ToArray(), await socket.ReceiveExactlyAsync(4));
                    return socket;
                })).WaitAsync(Patience, Cancelled));
            }

            output.WriteLine($"ingress: {(fixture.Cluster.Ingress.ResidentBytes - before) / Idle / 1024} KiB for each of {Idle} idle streams");
            await Task.WhenAll(Enumerable.Range(0, 50).Select(seed => ExchangeAsync("ingress", seed))).WaitAsync(Patience, Cancelled);
            foreach (var socket in idle)
            {
                await SendAllAsync(socket, "pong"u8.ToArray());
            }

            foreach (var socket in idle)
            {
                Assert.Equal("pong"u8.ToArray(), await socket.ReceiveExactlyAsync(4));
            }
        }
        finally
        {
            idle.ForEach(static socket => socket.Dispose());
        }
    }

    private async Task ExchangeAsync(string way, int seed)
    {
        using var socket = await DialAsync(way);
        var data = new byte[50_000];
        new Random(seed).NextBytes(data);
        var receiving = socket.ReceiveToEndAsync();
        await SendAllAsync(socket, data);
        socket.Shutdown(SocketShutdown.Send);
        var received = await receiving;
        Assert.True(data.AsSpan().SequenceEqual(received));
    }

    private async Task<(Socket Application, Socket Target)> ConnectAsync(string way)
    {
        var application = await DialAsync(way);
        return (application, await fixture.RawTarget.AcceptSocketAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled));
    }

    private async Task<Socket> DialAsync(string way)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(fixture.RawWays[way], Cancelled);
        return socket;
    }

    /// <summary>Makes the target echo until it is disposed.</summary>
    private EchoLoop EchoTarget() => new(fixture.RawTarget);

    private static async Task SendAllAsync(Socket socket, byte[] data)
    {
        for (var sent = 0; sent < data.Length;)
        {
            sent += await socket.SendAsync(data.AsMemory(sent), Cancelled);
        }
    }

    private sealed class EchoLoop : IDisposable
    {
        private readonly CancellationTokenSource _stop = new();

        public EchoLoop(TcpListener listener)
        {
            _ = AcceptAsync(listener, _stop.Token);
        }

        public void Dispose()
        {
            _stop.Cancel();
            _stop.Dispose();
        }

        private static async Task AcceptAsync(TcpListener listener, CancellationToken stop)
        {
            while (!stop.IsCancellationRequested)
            {
                _ = EchoAsync(await listener.AcceptSocketAsync(stop));
            }
        }

        private static async Task EchoAsync(Socket socket)
        {
            using var owned = socket;
            var buffer = new byte[16 * 1024];
            try
            {
                while (await socket.ReceiveAsync(buffer) is > 0 and var count)
                {
                    await SendAllAsync(socket, buffer[..count]);
                }

                socket.Shutdown(SocketShutdown.Send);
            }
            catch (SocketException)
            {
                // A test that has seen enough resets its connection.
            }
        }
    }
}
