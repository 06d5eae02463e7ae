using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Npgsql;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Processes that are killed, stopped, drained and restarted under load. Each test has a cluster of its own.</summary>
public sealed class FaultTests(ClusterFixture fixture) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private TunnelCluster _cluster = null!;
    private IPEndPoint _local = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _cluster = await TunnelCluster.StartAsync(
            new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}" }, "--local", "db=127.0.0.1:0", "--grace", "120");
        _local = await _cluster.LocalListenerAsync("db");
    }

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Fact]
    public async Task Killed_connector_ends_streams_at_once_and_its_restart_heals()
    {
        var connector = await _cluster.StartConnectorAsync();
        var clients = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => ConnectAsync()));
        var load = clients.Select(DatabaseClient.QueryForEverAsync).ToArray();

        await connector.SignalAsync("KILL");

        foreach (var client in load)
        {
            await Assert.ThrowsAnyAsync<NpgsqlException>(() => client.WaitAsync(Patience, Cancelled));
        }

        // Streams may end with their carrier, a moment before the ingress has heard that the connector is gone.
        await _cluster.Ingress.WaitForAsync("ConnectorOffline");
        var offline = await Assert.ThrowsAsync<PostgresException>(ConnectAsync);
        Assert.Contains("No connector", offline.MessageText, StringComparison.Ordinal);
        await _cluster.StartConnectorAsync();
        await AssertWorksAsync();
    }

    [Theory]
    [InlineData("0")]
    [InlineData("2")]
    public async Task Connector_without_a_file_descriptor_left_refuses_new_streams_and_keeps_the_others(string carriers)
    {
        var connector = await _cluster.StartConnectorAsync(new Dictionary<string, string> { ["TUNNEL_CONNECTOR__Carriers"] = carriers });
        await using var client = await ConnectAsync();

        await connector.LimitFilesAsync(1);
        var refused = await Assert.ThrowsAsync<PostgresException>(ConnectAsync);
        Assert.Contains("(unreachable)", refused.MessageText, StringComparison.Ordinal);
        await DatabaseClient.AssertAnswersAsync(client);

        await connector.LimitFilesAsync(1024);
        await AssertWorksAsync();
        await DatabaseClient.AssertAnswersAsync(client);
        Assert.Equal(0, connector.Count("ConnectorDisconnected"));
    }

    [Fact]
    public async Task With_a_second_replica_new_streams_work_at_once_after_a_kill()
    {
        var first = await _cluster.StartConnectorAsync();
        await _cluster.StartConnectorAsync();

        await first.SignalAsync("KILL");

        for (var i = 0; i < 10; i++)
        {
            await AssertWorksAsync();
        }
    }

    [Fact]
    public async Task Stalled_connector_leaves_the_rotation_and_its_streams_end_with_an_error()
    {
        var stalled = await _cluster.StartConnectorAsync();
        var online = await _cluster.Ingress.WaitForAsync("ConnectorOnline");
        await using var client = await ConnectAsync();
        var query = DatabaseClient.QueryForEverAsync(client);
        await _cluster.StartConnectorAsync();

        await stalled.SignalAsync("STOP");
        var since = Stopwatch.GetTimestamp();

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => query.WaitAsync(Patience, Cancelled));
        TestContext.Current.TestOutputHelper?.WriteLine($"noticed after {Stopwatch.GetElapsedTime(since).TotalSeconds:0.0} s");
        await _cluster.Ingress.WaitForAsync("ConnectorOffline");
        await AssertWorksAsync();

        await stalled.SignalAsync("CONT");
        await stalled.WaitForAsync("ConnectorDisconnected");
        await _cluster.Ingress.WaitForAsync("ConnectorOnline", seen => seen["Connector"] == online["Connector"] && seen["Session"] != online["Session"]);
    }

    [Fact]
    public async Task Drained_connector_finishes_its_streams_while_new_ones_go_to_the_other()
    {
        var draining = await _cluster.StartConnectorAsync();
        await using var client = await ConnectAsync();
        await using var sleep = new NpgsqlCommand("select pg_sleep(3)", client);
        var running = sleep.ExecuteNonQueryAsync(Cancelled);
        await draining.WaitForAsync("StreamOpened");
        await _cluster.StartConnectorAsync();

        await draining.SignalAsync("TERM");
        await draining.WaitForAsync("Draining");
        await AssertWorksAsync();

        await running.WaitAsync(Patience, Cancelled);
        await client.CloseAsync();
        Assert.Equal(0, await draining.WaitForExitAsync(Patience));
        Assert.Equal(0, draining.Count("DrainCut"));
        await _cluster.Ingress.WaitForAsync("ConnectorLeft");
        Assert.Equal(0, _cluster.Ingress.Count("ConnectorOffline"));
    }

    [Fact]
    public async Task Draining_connector_is_shown_as_such_and_not_counted_as_online()
    {
        using var http = new HttpClient();
        Task<string> AskAsync(string path) => http.GetStringAsync(new Uri(_cluster.Management, path), Cancelled);
        async Task<JsonElement> ShownAsync() => Assert.Single(JsonDocument.Parse(await AskAsync("/connectors")).RootElement.EnumerateArray());
        Assert.Contains("tunnel_ingress_connectors{tunnel=\"vpc\"} 0\n", await AskAsync("/metrics"), StringComparison.Ordinal);
        var connector = await _cluster.StartConnectorAsync();
        var online = await _cluster.Ingress.WaitForAsync("ConnectorOnline");
        await using var client = await ConnectAsync();

        var shown = await ShownAsync();
        Assert.Equal(
            ("vpc", online["Connector"], online["From"], "active", "db", 1),
            (Text(shown, "tunnel"), Text(shown, "connector"), Text(shown, "from"), Text(shown, "state"), Assert.Single(shown.GetProperty("services").EnumerateArray()).GetString(),
                shown.GetProperty("streams").GetInt32()));
        Assert.InRange(shown.GetProperty("since").GetDateTimeOffset(), DateTimeOffset.UtcNow.AddMinutes(-2), DateTimeOffset.UtcNow);
        Assert.Contains("tunnel_ingress_connectors{tunnel=\"vpc\"} 1\n", await AskAsync("/metrics"), StringComparison.Ordinal);
        Assert.StartsWith("ready: 1 connectors online", await AskAsync("/readyz"), StringComparison.Ordinal);

        await connector.SignalAsync("TERM");
        await _cluster.Ingress.WaitForAsync("ConnectorDraining");

        Assert.Equal("draining", Text(await ShownAsync(), "state"));
        Assert.Contains("tunnel_ingress_connectors{tunnel=\"vpc\"} 0\n", await AskAsync("/metrics"), StringComparison.Ordinal);
        Assert.StartsWith("ready: 0 connectors online", await AskAsync("/readyz"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Replica_keeps_its_name_and_gets_another_id_when_it_is_started_again()
    {
        using var http = new HttpClient();
        var ids = new List<string>();
        foreach (var _ in new[] { 1, 2 })
        {
            var connector = await _cluster.StartConnectorAsync("--name", "replica-b");
            var online = await _cluster.Ingress.WaitForAsync("ConnectorOnline", seen => !ids.Contains(seen["Connector"]));
            Assert.Equal("replica-b", online["Name"]);
            Assert.Matches("^replica-b-[0-9a-f]{8}$", online["Connector"]);
            ids.Add(online["Connector"]);
            using var shown = JsonDocument.Parse(await http.GetStringAsync(new Uri(_cluster.Management, "/connectors"), Cancelled));
            var row = Assert.Single(shown.RootElement.EnumerateArray());
            Assert.Equal(("replica-b", ids[^1]), (Text(row, "name"), Text(row, "connector")));

            await connector.SignalAsync("KILL");
            var offline = await _cluster.Ingress.WaitForAsync("ConnectorOffline", seen => seen["Connector"] == ids[^1]);
            Assert.Equal("replica-b", offline["Name"]);
        }
    }

    [Fact]
    public async Task Grace_time_that_is_over_cuts_the_streams()
    {
        var draining = await _cluster.StartConnectorAsync("--grace", "1");
        await using var client = await ConnectAsync();
        var query = DatabaseClient.QueryForEverAsync(client);

        await draining.SignalAsync("TERM");

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => query.WaitAsync(Patience, Cancelled));
        Assert.Equal(0, await draining.WaitForExitAsync(Patience));
        Assert.Equal(1, draining.Count("DrainCut"));
        Assert.Contains("shutdown", (await _cluster.Ingress.WaitForAsync("StreamEnded"))["Reason"], StringComparison.Ordinal);
        await _cluster.Ingress.WaitForAsync("ConnectorLeft");
        Assert.Equal(0, _cluster.Ingress.Count("ConnectorOffline"));
    }

    [Fact]
    public async Task Ingress_that_is_told_to_stop_at_once_cuts_its_streams_as_shut_down_at_both_ends()
    {
        var connector = await _cluster.StartConnectorAsync();
        await using var client = await ConnectAsync();
        var query = DatabaseClient.QueryForEverAsync(client);

        await _cluster.Ingress.SignalAsync("TERM");
        await _cluster.Ingress.WaitForAsync("Draining");
        await _cluster.Ingress.SignalAsync("TERM");

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => query.WaitAsync(Patience, Cancelled));
        Assert.Equal(0, await _cluster.Ingress.WaitForExitAsync(Patience));
        Assert.Contains("shutdown", (await _cluster.Ingress.WaitForAsync("StreamEnded"))["Reason"], StringComparison.Ordinal);
        Assert.Contains("shutdown", (await connector.WaitForAsync("StreamEnded"))["Reason"], StringComparison.Ordinal);
        await _cluster.Ingress.WaitForAsync("ConnectorLeft");
        Assert.Equal(0, _cluster.Ingress.Count("ConnectorOffline"));
    }

    [Fact]
    public async Task Idle_connector_drains_at_once()
    {
        var connector = await _cluster.StartConnectorAsync();

        await connector.SignalAsync("TERM");

        Assert.Equal(0, await connector.WaitForExitAsync());
        Assert.Equal(0, connector.Count("DrainCut"));
    }

    [Fact]
    public async Task Drained_ingress_finishes_its_streams_and_refuses_new_ones_clearly()
    {
        await _cluster.StartConnectorAsync();
        var (_, addresses) = await _cluster.StartForwarderAsync("db");
        var forwarder = IPEndPoint.Parse(addresses[0]);
        await using var client = await DatabaseClient.ConnectAsync(forwarder);
        await using var sleep = new NpgsqlCommand("select pg_sleep(3)", client);
        var running = sleep.ExecuteNonQueryAsync(Cancelled);

        await _cluster.Ingress.SignalAsync("TERM");
        await _cluster.Ingress.WaitForAsync("Draining");

        var refused = await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.ConnectAsync(forwarder));
        Assert.Contains("shutting down", refused.MessageText, StringComparison.Ordinal);
        using var http = new HttpClient();
        using var ready = await http.GetAsync(new Uri(_cluster.Management, "/readyz"), Cancelled);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        await running.WaitAsync(Patience, Cancelled);
        await client.CloseAsync();
        Assert.Equal(0, await _cluster.Ingress.WaitForExitAsync(Patience));
        Assert.Equal(0, _cluster.Ingress.Count("DrainCut"));
    }

    [Fact]
    public async Task Connector_comes_back_to_an_ingress_that_was_killed()
    {
        var connector = await _cluster.StartConnectorAsync();
        await _cluster.Ingress.SignalAsync("KILL");
        await connector.WaitForAsync("ConnectorDisconnected");
        await _cluster.Ingress.WaitForExitAsync();

        await _cluster.StartIngressAsync("--local", "db=127.0.0.1:0");
        _local = await _cluster.LocalListenerAsync("db");

        await _cluster.Ingress.WaitForAsync("ConnectorOnline");
        await AssertWorksAsync();
    }

    [Fact]
    public async Task Two_replicas_get_about_the_same_number_of_streams()
    {
        var first = await _cluster.StartConnectorAsync();
        var second = await _cluster.StartConnectorAsync();
        var clients = new List<NpgsqlConnection>();
        for (var i = 0; i < 20; i++)
        {
            clients.Add(await ConnectAsync());
        }

        foreach (var client in clients)
        {
            await client.DisposeAsync();
        }

        // Their logs are complete when they have ended.
        foreach (var connector in new[] { first, second })
        {
            await connector.SignalAsync("TERM");
            await connector.WaitForExitAsync();
        }

        Assert.Equal((10, 10), (first.Count("StreamOpened"), second.Count("StreamOpened")));
    }

    [Fact]
    public async Task Reload_changes_services_and_listeners_and_drops_no_stream()
    {
        var config = Path.Combine(_cluster.Directory, "connector.json");
        await File.WriteAllTextAsync(config, """{ "Services": { } }""", Cancelled);
        var connector = await _cluster.StartConnectorAsync("--config", config);
        await using var client = await ConnectAsync();

        await File.WriteAllTextAsync(config, """{ "Bogus": 1 }""", Cancelled);
        await connector.SignalAsync("HUP");
        var failed = await connector.WaitForAsync("ReloadFailed");
        Assert.Contains("Bogus", failed["Reason"], StringComparison.Ordinal);
        await File.WriteAllTextAsync(config, """{ "GraceSeconds": 7, "Log": { "Level": "Warning" } }""", Cancelled);
        await connector.SignalAsync("HUP");
        await connector.WaitForAsync("Reloaded");
        Assert.Equal("Log:Level", (await connector.WaitForAsync("RestartNeeded"))["Key"]);
        Assert.Equal(1, connector.Count("RestartNeeded"));
        await _cluster.Ingress.SignalAsync("HUP");
        await _cluster.Ingress.WaitForAsync("Reloaded");
        Assert.Equal(0, _cluster.Ingress.Count("RestartNeeded"));

        await DatabaseClient.AssertAnswersAsync(client);
        await AssertWorksAsync();
    }

    private Task<NpgsqlConnection> ConnectAsync() => DatabaseClient.ConnectAsync(_local);

    private Task AssertWorksAsync() => DatabaseClient.AssertWorksAsync(_local);

    private static string Text(JsonElement row, string name) => row.GetProperty(name).GetString()!;
}
