using Npgsql;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Networks that only an HTTP proxy leads out of, as HTTPS_PROXY and NO_PROXY say.</summary>
public sealed class ProxyTests(ClusterFixture fixture) : IAsyncLifetime
{
    private TunnelCluster _cluster = null!;

    public async ValueTask InitializeAsync() => _cluster = await TunnelCluster.StartAsync(
        new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}" }, "--local", "db=127.0.0.1:0");

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Fact]
    public async Task Connector_and_forwarder_go_through_the_proxy()
    {
        await using var proxy = ConnectProxy.Start();
        await _cluster.StartConnectorAsync(Environment(proxy));
        Assert.Contains($"localhost:{_cluster.Port}", proxy.Requests);
        await DatabaseClient.AssertWorksAsync(await _cluster.LocalListenerAsync("db"));

        var forwarder = await ForwardAsync(proxy);
        await DatabaseClient.AssertWorksAsync(forwarder);
        Assert.Contains($"{TunnelCluster.HostnameOf("db")}:{_cluster.Port}", proxy.Requests);
    }

    [Fact]
    public async Task No_proxy_goes_directly()
    {
        await using var proxy = ConnectProxy.Start(refuses: true);
        await _cluster.StartConnectorAsync(new Dictionary<string, string>(Environment(proxy)) { ["NO_PROXY"] = "localhost" });

        await DatabaseClient.AssertWorksAsync(await _cluster.LocalListenerAsync("db"));
        Assert.Empty(proxy.Requests);
    }

    [Fact]
    public async Task Refusal_of_the_proxy_is_named()
    {
        await _cluster.StartConnectorAsync();
        await using var proxy = ConnectProxy.Start(refuses: true);
        var forwarder = await ForwardAsync(proxy);

        var refused = await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.ConnectAsync(forwarder));

        Assert.Contains("HTTPS_PROXY", refused.MessageText, StringComparison.Ordinal);
    }

    private async Task<string> ForwardAsync(ConnectProxy proxy) =>
        (await _cluster.StartForwarderAsync("db", _cluster.ApplicationToken, Environment(proxy))).Addresses[0];

    private static Dictionary<string, string> Environment(ConnectProxy proxy) => new() { ["HTTPS_PROXY"] = proxy.Address, ["NO_PROXY"] = "" };
}
