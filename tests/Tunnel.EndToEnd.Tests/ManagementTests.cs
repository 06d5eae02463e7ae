using System.Net;
using System.Text.Json;
using Npgsql;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>
/// What the management addresses of connector and forwarder say while their ingress comes and goes, and what <c>health</c> makes of it.
/// </summary>
public sealed class ManagementTests(ClusterFixture fixture) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly HttpClient _http = new();
    private TunnelCluster _cluster = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _cluster = await TunnelCluster.StartAsync(
        new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}", ["refusing"] = "tcp://127.0.0.1:1", ["unresolvable"] = "tcp://no-such-host.invalid:5432" });

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _cluster.DisposeAsync();
    }

    [Fact]
    public async Task Connector_is_ready_while_it_is_registered_and_health_says_so()
    {
        var connector = await _cluster.StartConnectorAsync("--management", "127.0.0.1:0");
        var management = await ManagementOfAsync(connector);
        var ingress = $"localhost:{_cluster.Port}";

        Assert.Equal((HttpStatusCode.OK, "alive\n"), await GetAsync(management, "/healthz"));
        Assert.Equal((HttpStatusCode.OK, $"ready: registered at 1 of 1 ingresses, 0 streams\n{ingress} registered\n"), await GetAsync(management, "/readyz"));
        await AssertHealthAsync("tunnel-connector", management, 0, $"ready: registered at 1 of 1 ingresses, 0 streams\n{ingress} registered\n");
        var (_, metrics) = await GetAsync(management, "/metrics");
        AssertHas(metrics, $"tunnel_connector_registered{{ingress=\"{ingress}\"}} 1");
        AssertHas(metrics, $"tunnel_connector_registrations_total{{ingress=\"{ingress}\"}} 1");
        AssertHas(metrics, $"tunnel_connector_sessions_lost_total{{ingress=\"{ingress}\"}} 0");

        await _cluster.Ingress.SignalAsync("KILL");
        await connector.WaitForAsync("IngressUnreachable");

        var missing = $"not ready: registered at 0 of 1 ingresses, 0 streams\n{ingress} not registered: the last attempt failed at hop connect (connection-refused)\n";
        Assert.Equal((HttpStatusCode.ServiceUnavailable, missing), await GetAsync(management, "/readyz"));
        Assert.Equal((HttpStatusCode.OK, "alive\n"), await GetAsync(management, "/healthz"));
        await AssertHealthAsync("tunnel-connector", management, 1, missing);
        await AssertHealthAsync("tunnel-connector", management, 0, "alive\n", "--alive");
        (_, metrics) = await GetAsync(management, "/metrics");
        AssertHas(metrics, $"tunnel_connector_registered{{ingress=\"{ingress}\"}} 0");
        AssertHas(metrics, $"tunnel_connector_sessions_lost_total{{ingress=\"{ingress}\"}} 1");
        Assert.Matches($"(?m)^tunnel_connector_registrations_failed_total{{hop=\"connect\",ingress=\"{ingress}\"}} [1-9][0-9]*$", metrics);

        await _cluster.StartIngressAsync();
        await UntilAsync(management, "/readyz", $"{ingress} registered");
        AssertHas((await GetAsync(management, "/metrics")).Text, $"tunnel_connector_registrations_total{{ingress=\"{ingress}\"}} 2");
    }

    [Fact]
    public async Task Connector_counts_streams_and_failed_dials_by_service()
    {
        var connector = await _cluster.StartConnectorAsync("--management", "127.0.0.1:0");
        var management = await ManagementOfAsync(connector);
        AssertHas((await GetAsync(management, "/metrics")).Text, "tunnel_connector_streams_opened_total{service=\"db\"} 0");
        var (_, addresses) = await _cluster.StartForwarderAsync("db");

        await using (var client = await DatabaseClient.ConnectAsync(IPEndPoint.Parse(addresses[0])))
        {
            await DatabaseClient.AssertAnswersAsync(client);
            var (_, during) = await GetAsync(management, "/metrics");
            AssertHas(during, "tunnel_connector_streams 1");
            AssertHas(during, "tunnel_connector_streams_opened_total{service=\"db\"} 1");
            Assert.StartsWith("ready: registered at 1 of 1 ingresses, 1 streams\n", (await GetAsync(management, "/readyz")).Text, StringComparison.Ordinal);
        }

        foreach (var service in new[] { "refusing", "unresolvable" })
        {
            await FailAsync((await _cluster.StartForwarderAsync(service)).Addresses[0]);
        }

        var metrics = await UntilAsync(management, "/metrics", "tunnel_connector_streams 0");
        AssertHas(metrics, "tunnel_connector_dials_failed_total{code=\"connection-refused\",hop=\"connect\",service=\"refusing\"} 1");
        AssertHas(metrics, "tunnel_connector_dials_failed_total{code=\"not-resolved\",hop=\"resolve\",service=\"unresolvable\"} 1");
    }

    [Fact]
    public async Task Connector_that_drains_is_alive_and_not_ready()
    {
        var connector = await _cluster.StartConnectorAsync("--management", "127.0.0.1:0");
        var management = await ManagementOfAsync(connector);
        var (_, addresses) = await _cluster.StartForwarderAsync("db");
        await using (await DatabaseClient.ConnectAsync(IPEndPoint.Parse(addresses[0])))
        {
            await connector.SignalAsync("TERM");
            await connector.WaitForAsync("Draining");

            var (status, text) = await GetAsync(management, "/readyz");
            Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
            Assert.StartsWith("draining: registered at 1 of 1 ingresses, 1 streams\n", text, StringComparison.Ordinal);
            Assert.Equal((HttpStatusCode.OK, "alive\n"), await GetAsync(management, "/healthz"));
        }

        Assert.Equal(0, await connector.WaitForExitAsync(Patience));
        await AssertHealthAsync("tunnel-connector", management, 1, "");
    }

    [Fact]
    public async Task Connector_whose_only_ingress_drains_is_not_ready()
    {
        var connector = await _cluster.StartConnectorAsync("--management", "127.0.0.1:0");
        var management = await ManagementOfAsync(connector);
        var (_, addresses) = await _cluster.StartForwarderAsync("db");
        await using (var client = await DatabaseClient.ConnectAsync(IPEndPoint.Parse(addresses[0])))
        {
            await _cluster.Ingress.SignalAsync("TERM");
            await UntilAsync(management, "/readyz", $"localhost:{_cluster.Port} registered, but the ingress drains and gives no new streams");

            Assert.Equal(HttpStatusCode.ServiceUnavailable, (await GetAsync(management, "/readyz")).Status);
            await DatabaseClient.AssertAnswersAsync(client);
        }

        await _cluster.Ingress.WaitForExitAsync(Patience);
        await connector.WaitForAsync("IngressUnreachable");
        AssertHas((await GetAsync(management, "/metrics")).Text, $"tunnel_connector_sessions_lost_total{{ingress=\"localhost:{_cluster.Port}\"}} 0");
    }

    [Fact]
    public async Task Connector_is_asked_by_others_when_that_is_said()
    {
        var connector = await _cluster.StartConnectorAsync(new Dictionary<string, string>
        {
            ["TUNNEL_CONNECTOR__MANAGEMENT"] = "0.0.0.0:0",
            ["TUNNEL_CONNECTOR__MANAGEMENTALLOWREMOTE"] = "true",
        });
        var management = await ManagementOfAsync(connector);
        Assert.Equal("0.0.0.0", management.Host);

        // The command has little patience with a program that answers for the first time.
        await GetAsync(new UriBuilder(management) { Host = "127.0.0.1" }.Uri, "/readyz");

        await AssertHealthAsync("tunnel-connector", management, 0, $"ready: registered at 1 of 1 ingresses, 0 streams\nlocalhost:{_cluster.Port} registered\n");
        await AssertHealthAsync("tunnel-connector", management, 0, "alive\n", "--alive");
    }

    [Fact]
    public async Task Forwarder_is_ready_while_it_listens_and_counts_connections_by_where_they_failed()
    {
        var connector = await _cluster.StartConnectorAsync();
        var (forwarder, addresses) = await _cluster.StartForwarderAsync("db", _cluster.ApplicationToken, Managed("TUNNEL_POOLER__"));
        var management = await ManagementOfAsync(forwarder);
        Assert.Equal((HttpStatusCode.OK, "alive\n"), await GetAsync(management, "/healthz"));
        await AssertHealthAsync("tunnel-pooler", management, 0, "ready: 0 connections\n");

        await using (await DatabaseClient.ConnectAsync(IPEndPoint.Parse(addresses[0])))
        {
            Assert.Equal((HttpStatusCode.OK, "ready: 1 connections\n"), await GetAsync(management, "/readyz"));
            var (_, during) = await GetAsync(management, "/metrics");
            AssertHas(during, "tunnel_forwarder_connections 1");
            AssertHas(during, "tunnel_forwarder_connections_opened_total 1");
            Assert.DoesNotContain("tunnel_forwarder_connections_failed", during, StringComparison.Ordinal);
        }

        await connector.SignalAsync("TERM");
        await connector.WaitForExitAsync(Patience);
        await FailAsync(addresses[0]);
        AssertHas(await UntilAsync(management, "/metrics", "tunnel_forwarder_connections 0"), "tunnel_forwarder_connections_failed_total{hop=\"connector\"} 1");

        await forwarder.SignalAsync("TERM");
        Assert.Equal(0, await forwarder.WaitForExitAsync(Patience));
        await AssertHealthAsync("tunnel-pooler", management, 1, "");
    }

    [Fact]
    public async Task Health_finds_the_address_where_the_program_does()
    {
        var socket = Path.Combine(_cluster.Directory, "management.sock");
        var file = Path.Combine(_cluster.Directory, "managed.json");
        await File.WriteAllTextAsync(file, JsonSerializer.Serialize(new { Management = $"unix:{socket}", GraceSeconds = 1 }), Cancelled);
        await _cluster.StartConnectorAsync("--config", file);

        var byFile = await CommandLine.RunAsync("tunnel-connector", ["health", "--config", file]);
        var byVariable = await CommandLine.RunAsync("tunnel-connector", ["health"], new Dictionary<string, string> { ["TUNNEL_CONNECTOR__MANAGEMENT"] = $"unix:{socket}" });
        var byFlag = await CommandLine.RunAsync("tunnel-connector", ["health", "--config", file, "--management", "127.0.0.1:1"]);
        var ofIngress = await CommandLine.RunAsync("tunnel-ingress", ["health", "--management", _cluster.Management.Authority]);

        Assert.Equal((0, 0, 1, 0), (byFile.ExitCode, byVariable.ExitCode, byFlag.ExitCode, ofIngress.ExitCode));
        Assert.StartsWith("ready: registered at 1 of 1 ingresses", byVariable.Output, StringComparison.Ordinal);
        Assert.StartsWith("tunnel-connector: 127.0.0.1:1 does not answer: Connection refused", byFlag.Error, StringComparison.Ordinal);
        Assert.Equal("ready: 1 connectors online, 3 services\n", ofIngress.Output);
    }

    private static Dictionary<string, string> Managed(string prefix) => new() { [$"{prefix}MANAGEMENT"] = "127.0.0.1:0" };

    private static void AssertHas(string metrics, string line) => Assert.Contains(line, metrics.Split('\n'));

    private static async Task<Uri> ManagementOfAsync(ProgramProcess program) => new((await program.WaitForAsync("ManagementListening"))["Address"]);

    private static async Task AssertHealthAsync(string program, Uri management, int exitCode, string output, params string[] further)
    {
        var health = await CommandLine.RunAsync(program, ["health", "--management", management.Authority, .. further]);

        Assert.Equal((exitCode, output), (health.ExitCode, health.Output));
    }

    private static Task FailAsync(string address) => Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.ConnectAsync(IPEndPoint.Parse(address)));

    private async Task<(HttpStatusCode Status, string Text)> GetAsync(Uri management, string path)
    {
        using var answer = await _http.GetAsync(new Uri(management, path), Cancelled);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync(Cancelled));
    }

    private async Task<string> UntilAsync(Uri management, string path, string line)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(Patience);
        while (true)
        {
            var (_, text) = await GetAsync(management, path);
            if (text.Split('\n').Contains(line))
            {
                return text;
            }

            await Task.Delay(20, limit.Token);
        }
    }
}
