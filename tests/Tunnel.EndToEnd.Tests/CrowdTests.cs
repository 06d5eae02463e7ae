using System.Net;
using System.Net.Sockets;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Strangers who open more connections than an ingress has file descriptors for, and say nothing on them.</summary>
public sealed class CrowdTests(ClusterFixture fixture) : IAsyncLifetime
{
    private const int Descriptors = 700;
    private const int Crowd = 2000;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly CancellationTokenSource _leaving = new();
    private readonly Queue<Socket> _crowd = new();
    private Task _staying = Task.CompletedTask;
    private TunnelCluster _cluster = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _cluster = await TunnelCluster.StartAsync(new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}" });
        await _cluster.Ingress.SignalAsync("KILL");
        await _cluster.Ingress.WaitForExitAsync();
        _cluster.IngressDescriptors = Descriptors;
        await _cluster.StartIngressAsync("--local", "db=127.0.0.1:0");
        await _cluster.StartConnectorAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _leaving.CancelAsync();
        await _staying;
        foreach (var socket in _crowd)
        {
            socket.Dispose();
        }

        _leaving.Dispose();
        await _cluster.DisposeAsync();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(200)]
    public async Task Tunnels_keep_carrying_and_newcomers_with_a_token_come_in(int addresses)
    {
        var (_, before) = await _cluster.StartForwarderAsync("db");
        await using var client = await DatabaseClient.ConnectAsync(before[0]);
        var port = await _cluster.LocalListenerAsync("db");

        await GatherAsync(addresses);
        await _cluster.Ingress.WaitForAsync("ConnectionRefused", seen => seen["Reason"].Contains("Limits:MaxConnections", StringComparison.Ordinal));

        await DatabaseClient.AssertAnswersAsync(client);
        await DatabaseClient.AssertWorksAsync(before[0]);
        await DatabaseClient.AssertWorksAsync(port);
        await _cluster.StartConnectorAsync();
        var (_, after) = await _cluster.StartForwarderAsync("db");
        await DatabaseClient.AssertWorksAsync(after[0]);
        await DatabaseClient.AssertAnswersAsync(client);
        using var http = new HttpClient();
        var metrics = await http.GetStringAsync(new Uri(_cluster.Management, "/metrics"), Cancelled);
        Assert.Matches("(?m)^tunnel_ingress_connections_refused(_total)?\\{.*limit=\"full\".*\\} [1-9]", metrics);

        await _leaving.CancelAsync();
        await _staying.WaitAsync(Patience, Cancelled);
        Assert.Equal(0, _cluster.Connectors.Sum(static connector => connector.Count("ConnectorDisconnected")));
    }

    /// <summary>Comes, and keeps the ingress full from then on until it leaves.</summary>
    private async Task GatherAsync(int addresses)
    {
        for (var number = 0; number < Crowd; number++)
        {
            await ComeAsync(number % addresses);
        }

        _staying = StayAsync();

        async Task StayAsync()
        {
            try
            {
                // Who was crowded out comes back, but leaves others the time of a handshake: half a minute until all places are taken anew.
                for (var number = 0; ; number++)
                {
                    await Task.Delay(50, _leaving.Token);
                    _crowd.Dequeue().Dispose();
                    await ComeAsync(number % addresses);
                }
            }
            catch (OperationCanceledException)
            {
                // It leaves.
            }
        }
    }

    private async Task ComeAsync(int address)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _crowd.Enqueue(socket);
        socket.Bind(new IPEndPoint(new IPAddress([127, 0, 0, (byte)(1 + address)]), 0));
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, _cluster.Port, _leaving.Token);
        }
        catch (SocketException)
        {
            // It was crowded out before connecting was told.
        }
    }
}
