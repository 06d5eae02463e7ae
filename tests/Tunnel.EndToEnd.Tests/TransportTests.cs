using System.Net.Sockets;
using Shared.Streams.Protocol;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>The ways of a stream between ingress and connector: carriers, carriers that are WebSockets, and a WebSocket for each.</summary>
public sealed class TransportTests(ClusterFixture fixture) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly RawTarget _target = new();
    private TunnelCluster _cluster = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _cluster = await TunnelCluster.StartAsync(
            new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}", ["raw"] = _target.Address },
            "--local", "db=127.0.0.1:0", "--local", "raw=127.0.0.1:0");
    }

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        _target.Dispose();
    }

    [Theory]
    [InlineData("carriers")]
    [InlineData("carriers over WebSockets")]
    [InlineData("a WebSocket for each stream")]
    public async Task Each_way_carries_databases_and_bulk_and_resets(string way)
    {
        await using var proxy = ConnectProxy.Start();
        var connector = await StartConnectorAsync(way, proxy);
        var db = await _cluster.LocalListenerAsync("db");
        await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => DatabaseClient.AssertWorksAsync(db))).WaitAsync(Patience, Cancelled);

        await _target.AssertCarriesAsync(await _cluster.LocalListenerAsync("raw"));

        await connector.SignalAsync("TERM");
        Assert.Equal(0, await connector.WaitForExitAsync());
        Assert.Equal(0, connector.Count("CarrierLost") + connector.Count("ChannelFailed") + connector.Count("DrainCut"));
    }

    [Theory]
    [InlineData("carriers")]
    [InlineData("carriers over WebSockets")]
    public async Task Killed_connector_cuts_its_streams_and_another_one_takes_over(string way)
    {
        await using var proxy = ConnectProxy.Start();
        var connector = await StartConnectorAsync(way, proxy);
        var (application, target) = await _target.ConnectAsync(await _cluster.LocalListenerAsync("raw"));
        using var near = application;
        using var far = target;
        await StartConnectorAsync(way, proxy);

        await connector.SignalAsync("KILL");

        await Assert.ThrowsAsync<SocketException>(() => application.ReceiveAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        await DatabaseClient.AssertWorksAsync(await _cluster.LocalListenerAsync("db"));
    }

    [Theory]
    [InlineData("unknown token")]
    [InlineData("unknown session")]
    [InlineData("nothing")]
    [InlineData("garbage")]
    public async Task Stranger_gets_no_carrier(string fault)
    {
        await using var carrier = await CarrierClient.DialAsync(_cluster);

        switch (fault)
        {
            case "nothing":
                await carrier.CompleteWritesAsync(Cancelled);
                await AssertClosedAsync();
                break;
            case "garbage":
                await carrier.WriteAsync("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray(), Cancelled);
                await AssertClosedAsync();
                break;
            default:
                var (id, secret) = await CarrierClient.ReadTokenAsync(_cluster.ConnectorToken);
                var answer = await CarrierClient.AskAsync(carrier, fault == "unknown token" ? new Join(id, "wrong", "0") : new Join(id, secret, "0"));
                var refused = Assert.IsType<JoinRefused>(answer);
                Assert.Equal("token-refused", refused.Code);
                await _cluster.Ingress.WaitForAsync("AccessDenied");
                Assert.DoesNotContain(secret, _cluster.AllLogs(), StringComparison.Ordinal);
                break;
        }

        async Task AssertClosedAsync()
        {
            var ended = await Record.ExceptionAsync(async () =>
                Assert.Equal(0, await carrier.ReadAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled)));
            Assert.True(ended is null or IOException, $"{ended}");
        }
    }

    private Task<ProgramProcess> StartConnectorAsync(string way, ConnectProxy proxy) => way switch
    {
        "carriers" => _cluster.StartConnectorAsync(),
        "carriers over WebSockets" => _cluster.StartConnectorAsync(new Dictionary<string, string> { ["HTTPS_PROXY"] = proxy.Address, ["NO_PROXY"] = "" }),
        _ => _cluster.StartConnectorAsync(new Dictionary<string, string> { ["TUNNEL_CONNECTOR__Carriers"] = "0" }),
    };
}
