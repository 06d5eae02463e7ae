using System.Net;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests.Web;

/// <summary>Restarts and deaths, in a cluster of the test's own.</summary>
[Collection(WebCollection.Name)]
public sealed class LifecycleTests(WebFixture fixture) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private TunnelCluster _cluster = null!;
    private HttpClient _client = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _cluster = await TunnelCluster.StartAsync(new Dictionary<string, string> { ["app"] = $"http://127.0.0.1:{fixture.App.HttpPort}" }, "--grace", "20");
        await _cluster.AdminAsync("service", "set", "app", "--protocol", "http", "--access", "public");
        await _cluster.Ingress.WaitForAsync("StateChanged");
        _client = new HttpClient(ClusterHttp.Handler(_cluster));
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _cluster.DisposeAsync();
    }

    [Fact]
    public async Task Request_that_a_dead_replica_held_is_answered_through_another()
    {
        var first = await _cluster.StartConnectorAsync();
        var asking = _client.GetStringAsync(Uri("/wait/1500"), Cancelled);
        await first.WaitForAsync("StreamOpened");
        await _cluster.StartConnectorAsync();

        await first.SignalAsync("KILL");

        Assert.Equal("late", await asking.WaitAsync(Patience, Cancelled));
        await _cluster.Ingress.WaitForAsync("RequestRetried");
    }

    [Fact]
    public async Task Request_with_a_body_is_never_sent_twice()
    {
        var first = await _cluster.StartConnectorAsync();
        using var content = new StringContent("body");
        var asking = _client.PostAsync(Uri("/wait/30000"), content, Cancelled);
        await first.WaitForAsync("StreamOpened");
        await _cluster.StartConnectorAsync();

        await first.SignalAsync("KILL");

        using var answer = await asking.WaitAsync(Patience, Cancelled);
        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        Assert.Equal("connector/connection-lost", Assert.Single(answer.Headers.GetValues("Tunnel-Error")));
        Assert.Equal(0, _cluster.Ingress.Count("RequestRetried"));
    }

    [Fact]
    public async Task Connector_that_drains_is_not_held_by_idle_connections_and_finishes_what_runs()
    {
        var first = await _cluster.StartConnectorAsync("--grace", "25");
        Assert.Equal("late", await _client.GetStringAsync(Uri("/wait/1"), Cancelled));
        var asking = _client.GetStringAsync(Uri("/wait/3000"), Cancelled);
        await _cluster.Ingress.WaitForAsync("RequestServed");
        await _cluster.StartConnectorAsync();

        await first.SignalAsync("TERM");

        Assert.Equal("late", await asking.WaitAsync(Patience, Cancelled));
        Assert.Equal(0, await first.WaitForExitAsync(TimeSpan.FromSeconds(15)));
        Assert.Equal("late", await _client.GetStringAsync(Uri("/wait/1"), Cancelled));
    }

    [Fact]
    public async Task Ingress_that_drains_finishes_what_runs_and_takes_nothing_new()
    {
        await _cluster.StartConnectorAsync();
        Assert.Equal("late", await _client.GetStringAsync(Uri("/wait/1"), Cancelled));
        var asking = _client.GetStringAsync(Uri("/wait/3000"), Cancelled);
        using var another = new HttpRequestMessage(HttpMethod.Get, Uri("/wait/1"));
        var management = new HttpClient();
        await UntilRunningAsync(management);

        await _cluster.Ingress.SignalAsync("TERM");
        await _cluster.Ingress.WaitForAsync("Draining");
        using var refused = await _client.SendAsync(another, Cancelled);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Equal("late", await asking.WaitAsync(Patience, Cancelled));
        Assert.Equal(0, await _cluster.Ingress.WaitForExitAsync(TimeSpan.FromSeconds(15)));
        management.Dispose();
    }

    private async Task UntilRunningAsync(HttpClient management)
    {
        while (!(await management.GetStringAsync(new Uri(_cluster.Management, "/metrics"), Cancelled)).Contains("tunnel_ingress_http_requests_running 1", StringComparison.Ordinal))
        {
            await Task.Delay(20, Cancelled);
        }
    }

    private Uri Uri(string path) => WebFixture.UriOf("app", _cluster.Port, path);
}
