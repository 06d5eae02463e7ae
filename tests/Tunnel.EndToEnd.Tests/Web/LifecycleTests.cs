using System.Net;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests.Web;

/// <summary>Restarts and deaths, in a cluster of the test's own.</summary>
[Collection(WebCollection.Name)]
public sealed class LifecycleTests(WebFixture fixture) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private TunnelCluster _cluster = null!;
    private HttpClient _client = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _cluster = await TunnelCluster.StartAsync(new Dictionary<string, string> { ["app"] = $"http://127.0.0.1:{fixture.App.HttpPort}" }, "--grace", "120");
        await _cluster.AdminAsync("service", "set", "app", "--protocol", "http", "--access", "public");
        await _cluster.Ingress.WaitForAsync("StateChanged");
        fixture.App.Hold();
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
        var asking = _client.GetStringAsync(Uri("/held"), Cancelled);
        await first.WaitForAsync("StreamOpened");
        await _cluster.StartConnectorAsync();

        await first.SignalAsync("KILL");

        await _cluster.Ingress.WaitForAsync("RequestRetried");
        fixture.App.Held.SetResult();
        Assert.Equal("late", await asking.WaitAsync(Patience, Cancelled));
    }

    [Fact]
    public async Task Request_with_a_body_is_never_sent_twice()
    {
        var first = await _cluster.StartConnectorAsync();
        using var content = new StringContent("body");
        var asking = _client.PostAsync(Uri("/held"), content, Cancelled);
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
        var first = await _cluster.StartConnectorAsync();
        Assert.Equal("late", await _client.GetStringAsync(Uri("/wait/1"), Cancelled));
        var asking = _client.GetStringAsync(Uri("/held"), Cancelled);
        await UntilRunningAsync();
        await _cluster.StartConnectorAsync();

        await first.SignalAsync("TERM");
        await _cluster.Ingress.WaitForAsync("ConnectorDraining");

        fixture.App.Held.SetResult();
        Assert.Equal("late", await asking.WaitAsync(Patience, Cancelled));
        Assert.Equal(0, await first.WaitForExitAsync(Patience));
        Assert.Equal(0, first.Count("DrainCut"));
        Assert.Equal("late", await _client.GetStringAsync(Uri("/wait/1"), Cancelled));
    }

    [Fact]
    public async Task Ingress_that_drains_finishes_what_runs_and_takes_nothing_new()
    {
        await _cluster.StartConnectorAsync();
        Assert.Equal("late", await _client.GetStringAsync(Uri("/wait/1"), Cancelled));
        var asking = _client.GetStringAsync(Uri("/held"), Cancelled);
        using var another = new HttpRequestMessage(HttpMethod.Get, Uri("/wait/1"));
        await UntilRunningAsync();

        await _cluster.Ingress.SignalAsync("TERM");
        await _cluster.Ingress.WaitForAsync("Draining");
        using var refused = await _client.SendAsync(another, Cancelled);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        fixture.App.Held.SetResult();
        Assert.Equal("late", await asking.WaitAsync(Patience, Cancelled));
        Assert.Equal(0, await _cluster.Ingress.WaitForExitAsync(Patience));
        Assert.Equal(0, _cluster.Ingress.Count("DrainCut"));
    }

    /// <summary>Waits until one request runs, which the origin holds back.</summary>
    private async Task UntilRunningAsync()
    {
        using var management = new HttpClient();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(Patience);
        while (!(await management.GetStringAsync(new Uri(_cluster.Management, "/metrics"), limit.Token)).Contains("tunnel_ingress_http_requests_running 1", StringComparison.Ordinal))
        {
            await Task.Delay(20, limit.Token);
        }
    }

    private Uri Uri(string path) => WebFixture.UriOf("app", _cluster.Port, path);
}
