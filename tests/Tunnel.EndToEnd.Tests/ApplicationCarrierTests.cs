using System.Net;
using Npgsql;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Forwarders whose streams share carriers to the ingress: what they carry, how access is withdrawn from them, how they end.</summary>
public sealed class ApplicationCarrierTests(ClusterFixture fixture) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly RawTarget _target = new();
    private TunnelCluster _cluster = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _cluster = await TunnelCluster.StartAsync(
            new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}", ["raw"] = _target.Address });
        await _cluster.StartConnectorAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        _target.Dispose();
    }

    [Fact]
    public async Task Many_connections_share_few_carriers()
    {
        var address = await ForwardAsync("db");
        await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => DatabaseClient.AssertWorksAsync(address))).WaitAsync(Patience, Cancelled);

        using var http = new HttpClient();
        var metrics = await http.GetStringAsync(new Uri(_cluster.Management, "/metrics"), Cancelled);
        Assert.Matches("(?m)^tunnel_ingress_application_carriers [12]$", metrics);
    }

    [Fact]
    public async Task Bulk_and_half_close_and_reset_go_through()
    {
        await _target.AssertCarriesAsync(IPEndPoint.Parse(await ForwardAsync("raw")));
    }

    [Fact]
    public async Task Refused_target_is_named_to_the_application()
    {
        var address = await ForwardAsync("raw");
        _target.Dispose();

        var refused = await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.ConnectAsync(address));

        Assert.Contains("refused the connection", refused.MessageText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rotated_secret_is_picked_up_by_an_open_carrier()
    {
        var address = await ForwardAsync("db");
        await using var client = await DatabaseClient.ConnectAsync(address);
        await using var second = await DatabaseClient.ConnectAsync(address);
        await using var third = await DatabaseClient.ConnectAsync(address);
        var (id, _) = await CarrierClient.ReadTokenAsync(_cluster.ApplicationToken);

        await _cluster.AdminAsync("token", "rotate", id, "--overlap", "0s", "--output", _cluster.ApplicationToken);
        await _cluster.Ingress.WaitForAsync("StateChanged");

        for (var i = 0; i < 5; i++)
        {
            await DatabaseClient.AssertWorksAsync(address);
        }

        // What was open before stays.
        await DatabaseClient.AssertAnswersAsync(client);
        await DatabaseClient.AssertAnswersAsync(second);
        await DatabaseClient.AssertAnswersAsync(third);
    }

    [Fact]
    public async Task Stopped_ingress_finishes_what_runs_and_its_successor_is_found()
    {
        var address = await ForwardAsync("db");
        await using var client = await DatabaseClient.ConnectAsync(address);

        await _cluster.Ingress.SignalAsync("TERM");
        await _cluster.Ingress.WaitForAsync("Draining");
        var refused = await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.ConnectAsync(address));
        Assert.Contains("shutting down", refused.MessageText, StringComparison.Ordinal);
        await DatabaseClient.AssertAnswersAsync(client);
        await client.CloseAsync();
        Assert.Equal(0, await _cluster.Ingress.WaitForExitAsync());

        await _cluster.StartIngressAsync();
        await _cluster.Ingress.WaitForAsync("ConnectorOnline");
        await DatabaseClient.AssertWorksAsync(address);
    }

    [Theory]
    [InlineData("unknown token", "token-refused")]
    [InlineData("unknown hostname", "unknown-hostname")]
    [InlineData("hostname out of scope", "token-refused")]
    [InlineData("connector's token", "token-refused")]
    public async Task Stranger_gets_no_carrier(string fault, string code)
    {
        await _cluster.AdminAsync("service", "add", "other", "--hostname", "other.tunnel.localhost", "--tunnel", TunnelCluster.Tunnel);
        await _cluster.Ingress.WaitForAsync("StateChanged");
        var (id, secret) = await CarrierClient.ReadTokenAsync(fault == "connector's token" ? _cluster.ConnectorToken : _cluster.ApplicationToken);
        await using var carrier = await CarrierClient.DialAsync(_cluster);

        var answer = await CarrierClient.AskAsync(carrier, fault switch
        {
            "unknown token" => new AccessHostname(id, "wrong", TunnelCluster.HostnameOf("db")),
            "unknown hostname" => new AccessHostname(id, secret, "nobody.tunnel.localhost"),
            "hostname out of scope" => new AccessHostname(id, secret, TunnelCluster.HostnameOf("other")),
            _ => new AccessHostname(id, secret, TunnelCluster.HostnameOf("db")),
        });

        Assert.Equal(code, Assert.IsType<JoinRefused>(answer).Code);
        Assert.DoesNotContain(secret, _cluster.AllLogs(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Carrier_reaches_no_hostname_but_its_own()
    {
        var (id, secret) = await CarrierClient.ReadTokenAsync(_cluster.ApplicationToken);
        await using var carrier = await CarrierClient.DialAsync(_cluster);
        Assert.IsType<Joined>(await CarrierClient.AskAsync(carrier, new AccessHostname(id, secret, TunnelCluster.HostnameOf("db"))));
        var multiplexer = new Multiplexer(carrier, TimeProvider.System);
        var running = multiplexer.RunAsync();

        // The token may access this one as well, and the name of a service is no hostname.
        foreach (var other in new[] { TunnelCluster.HostnameOf("raw"), "db", "" })
        {
            var (_, answer) = await multiplexer.OpenAsync(new Open("", other), early: null, Cancelled).WaitAsync(Patience, Cancelled);
            Assert.Equal(("unknown-hostname", "ingress"), (Assert.IsType<Refused>(answer).Code, ((Refused)answer).Hop));
        }

        var (stream, opened) = await multiplexer.OpenAsync(new Open("", TunnelCluster.HostnameOf("db")), early: null, Cancelled).WaitAsync(Patience, Cancelled);
        Assert.Equal((await _cluster.Ingress.WaitForAsync("StreamOpened"))["StreamId"], Assert.IsType<Opened>(opened).Stream);
        await stream.DisposeAsync();
        multiplexer.Drain();
        await running.WaitAsync(Patience, Cancelled);
    }

    private async Task<string> ForwardAsync(string service) =>
        (await _cluster.StartForwarderAsync(service, _cluster.ApplicationToken, environment: null)).Addresses[0];
}
