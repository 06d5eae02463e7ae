using System.Net;
using System.Text.Json;
using Npgsql;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Tokens that are revoked, rotated and expire, services that come and go, while the ingress runs.</summary>
public sealed class AccessTests(ClusterFixture fixture) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private TunnelCluster _cluster = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _cluster = await TunnelCluster.StartAsync(new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}" }, "--local", "db=127.0.0.1:0");
        await _cluster.StartConnectorAsync();
    }

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Fact]
    public async Task Revocation_cuts_the_tokens_streams_and_refuses_new_ones()
    {
        var address = await ForwardAsync();
        await using var client = await DatabaseClient.ConnectAsync(address);

        await _cluster.AdminAsync("token", "revoke", await IdOfAsync(_cluster.ApplicationToken));

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => DatabaseClient.QueryForEverAsync(client).WaitAsync(Patience, Cancelled));
        var refused = await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.ConnectAsync(address));
        Assert.Equal("28000", refused.SqlState);
        Assert.Contains("refused the service token", refused.MessageText, StringComparison.Ordinal);
        Assert.Equal("revoked: access was withdrawn", (await _cluster.Ingress.WaitForAsync("StreamEnded"))["Reason"]);
    }

    [Fact]
    public async Task Token_that_is_removed_right_after_its_revocation_is_cut_as_well()
    {
        await using var client = await DatabaseClient.ConnectAsync(await ForwardAsync());
        var id = await IdOfAsync(_cluster.ApplicationToken);

        await _cluster.AdminAsync("token", "revoke", id);
        await _cluster.AdminAsync("token", "remove", id);

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => DatabaseClient.QueryForEverAsync(client).WaitAsync(Patience, Cancelled));
        await AdministeredAsync(id, "removed");
    }

    [Fact]
    public async Task Access_is_granted_while_the_ingress_runs_and_its_withdrawal_cuts_that_services_streams_only()
    {
        var id = await IdOfAsync(_cluster.ApplicationToken);
        await _cluster.AddServiceAsync("other", $"unix://{fixture.Postgres.SocketPath}");
        await _cluster.StartConnectorAsync();
        await _cluster.AdminAsync("token", "grant", id, "--access", "other");
        await AdministeredAsync(id, "access granted: other");
        var other = (await _cluster.StartForwarderAsync("other")).Addresses[0];
        await using var kept = await DatabaseClient.ConnectAsync(await ForwardAsync());
        await using var withdrawn = await DatabaseClient.ConnectAsync(other);

        await _cluster.AdminAsync("token", "withdraw", id, "--access", "other");

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => DatabaseClient.QueryForEverAsync(withdrawn).WaitAsync(Patience, Cancelled));
        await AdministeredAsync(id, "access withdrawn: other");
        await _cluster.Ingress.WaitForAsync("AccessWithdrawn");
        Assert.Equal("28000", (await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.ConnectAsync(other))).SqlState);
        await DatabaseClient.AssertAnswersAsync(kept);
    }

    [Fact]
    public async Task Service_with_another_hostname_is_found_there_only_and_its_streams_go_on()
    {
        var before = await ForwardAsync();
        await using var client = await DatabaseClient.ConnectAsync(before);

        await _cluster.AdminAsync("service", "set", "db", "--hostname", TunnelCluster.HostnameOf("renamed"));
        await AdministeredAsync("db", $"hostname {TunnelCluster.HostnameOf("renamed")} instead of {TunnelCluster.HostnameOf("db")}");

        await DatabaseClient.AssertWorksAsync((await _cluster.StartForwarderAsync("renamed")).Addresses[0]);
        await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.ConnectAsync(before));
        await DatabaseClient.AssertAnswersAsync(client);
    }

    [Fact]
    public async Task Client_of_a_pool_is_told_at_which_hop_its_connection_was_lost()
    {
        var (pooler, addresses) = await PoolerFile.StartAsync(_cluster.Directory, new
        {
            Listen = new List<string> { "127.0.0.1:0" },
            Users = new Dictionary<string, object> { ["postgres"] = new { Password = "secret" } },
            Pools = new Dictionary<string, object> { ["postgres"] = PoolerFile.Pool(_cluster, "db") },
        });
        await using var running = pooler;
        var address = IPEndPoint.Parse(addresses[0]);
        await using var client = new NpgsqlConnection(
            $"Host={address.Address};Port={address.Port};Username=postgres;Password=secret;Database=postgres;Pooling=false;Timeout=60;SSL Mode=Disable;Include Error Detail=true");
        await client.OpenAsync(Cancelled);
        await using var sleep = new NpgsqlCommand("select pg_sleep(60) /* until it is revoked */", client);
        var sleeping = sleep.ExecuteNonQueryAsync(Cancelled);
        await DatabaseClient.UntilSleepsAsync(fixture.Postgres, "until it is revoked");

        await _cluster.AdminAsync("token", "revoke", await IdOfAsync(_cluster.ApplicationToken));

        var lost = await Assert.ThrowsAsync<PostgresException>(() => sleeping.WaitAsync(Patience, Cancelled));
        Assert.Equal(("08006", "The connection was lost at hop ingress (revoked)."), (lost.SqlState, lost.Detail));
        Assert.Contains("the ingress's log", lost.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Token_file_that_goes_bad_is_an_error_in_the_log_and_nothing_stops()
    {
        var token = Path.Combine(_cluster.Directory, "changing.token");
        File.Copy(_cluster.ApplicationToken, token);
        var (forwarder, addresses) = await _cluster.StartForwarderAsync("db", token, environment: null);

        await File.WriteAllTextAsync(token, "{\"clientId\":", Cancelled);

        await DatabaseClient.AssertWorksAsync(addresses[0]);
        var kept = await forwarder.WaitForAsync("TokenKept");
        Assert.Contains($"The token file {token} does not hold", kept["Reason"], StringComparison.Ordinal);
        Assert.Equal("Error", kept["@l"]);
    }

    [Fact]
    public async Task Revoked_connector_is_cut_with_its_streams()
    {
        var address = await ForwardAsync();
        await using var client = await DatabaseClient.ConnectAsync(address);

        await _cluster.AdminAsync("token", "revoke", await IdOfAsync(_cluster.ConnectorToken));

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => DatabaseClient.QueryForEverAsync(client).WaitAsync(Patience, Cancelled));
        await _cluster.Ingress.WaitForAsync("ConnectorOffline");
        var refused = await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.ConnectAsync(address));
        Assert.Contains("No connector", refused.MessageText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rotation_with_an_overlap_keeps_both_secrets_and_cuts_nothing()
    {
        var old = Path.Combine(_cluster.Directory, "old.token");
        File.Copy(_cluster.ApplicationToken, old);
        var address = await ForwardAsync();
        await using var client = await DatabaseClient.ConnectAsync(address);

        await _cluster.AdminAsync("token", "rotate", await IdOfAsync(old), "--overlap", "1h", "--output", _cluster.ApplicationToken);
        await _cluster.Ingress.WaitForAsync("StateChanged");

        Assert.NotEqual(await File.ReadAllTextAsync(old, Cancelled), await File.ReadAllTextAsync(_cluster.ApplicationToken, Cancelled));
        await DatabaseClient.AssertWorksAsync(address);
        await DatabaseClient.AssertWorksAsync(await ForwardAsync(old));
        await DatabaseClient.AssertAnswersAsync(client);
    }

    [Fact]
    public async Task Rotation_without_an_overlap_ends_the_old_secret()
    {
        var old = Path.Combine(_cluster.Directory, "old.token");
        File.Copy(_cluster.ApplicationToken, old);

        await _cluster.AdminAsync("token", "rotate", await IdOfAsync(old), "--overlap", "0s", "--output", _cluster.ApplicationToken);
        await _cluster.Ingress.WaitForAsync("StateChanged");

        await DatabaseClient.AssertWorksAsync(await ForwardAsync());
        var address = await ForwardAsync(old);
        await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.ConnectAsync(address));
    }

    [Fact]
    public async Task Expiry_cuts_the_tokens_streams()
    {
        var file = Path.Combine(_cluster.Directory, "short.token");
        File.Copy(_cluster.ApplicationToken, file);
        var address = await ForwardAsync(file);

        // Its time runs from here on. The forwarder has started already, and reads the file again for its first stream.
        var fresh = Path.Combine(_cluster.Directory, "fresh.token");
        await _cluster.AdminAsync("token", "create", "short", "--access", "db", "--expires", "10s", "--output", fresh);
        File.Move(fresh, file, overwrite: true);
        await AdministeredAsync(await IdOfAsync(file));
        await using var client = await DatabaseClient.ConnectAsync(address);

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => DatabaseClient.QueryForEverAsync(client).WaitAsync(Patience, Cancelled));
    }

    [Fact]
    public async Task Service_that_is_removed_is_cut_and_one_that_is_added_works_without_a_restart()
    {
        var address = await ForwardAsync();
        await using var client = await DatabaseClient.ConnectAsync(address);

        await _cluster.AdminAsync("service", "remove", "db");
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => DatabaseClient.QueryForEverAsync(client).WaitAsync(Patience, Cancelled));
        await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.ConnectAsync(address));

        await _cluster.AddServiceAsync("db", $"unix://{fixture.Postgres.SocketPath}");
        File.Delete(_cluster.ApplicationToken);
        await _cluster.AdminAsync("token", "create", "again", "--access", "db", "--output", _cluster.ApplicationToken);
        await AdministeredAsync(await IdOfAsync(_cluster.ApplicationToken));
        await DatabaseClient.AssertWorksAsync(await ForwardAsync());
    }

    [Fact]
    public async Task Service_that_speaks_HTTP_from_now_on_loses_its_applications_plain_bytes_and_no_others()
    {
        var address = await ForwardAsync();
        await using var client = await DatabaseClient.ConnectAsync(address);
        await using var local = await DatabaseClient.ConnectAsync(await _cluster.LocalListenerAsync("db"));

        await _cluster.AdminAsync("service", "set", "db", "--protocol", "http");

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => DatabaseClient.QueryForEverAsync(client).WaitAsync(Patience, Cancelled));
        Assert.Equal("revoked: access was withdrawn", (await _cluster.Ingress.WaitForAsync("StreamEnded"))["Reason"]);
        await DatabaseClient.AssertAnswersAsync(local);
    }

    private async Task<string> ForwardAsync(string? token = null) =>
        (await _cluster.StartForwarderAsync("db", token ?? _cluster.ApplicationToken, environment: null)).Addresses[0];

    private Task<LogEvent> AdministeredAsync(string name, string? what = null) =>
        _cluster.Ingress.WaitForAsync("Administered", seen => seen["Name"] == name && (what is null || seen["What"] == what));

    private static async Task<string> IdOfAsync(string file)
    {
        using var document = JsonDocument.Parse(await File.ReadAllTextAsync(file, Cancelled));
        return document.RootElement.GetProperty("clientId").GetString()!;
    }
}
