using System.Net;
using Npgsql;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>A pooler that is told something new while it serves, and what it tells of itself.</summary>
public sealed class PoolerReloadTests(PoolerUsersFixture fixture) : IClassFixture<PoolerUsersFixture>
{
    private static readonly string[] Listen = ["127.0.0.1:0"];
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task SIGHUP_brings_pools_and_users_and_disturbs_nobody()
    {
        const string Name = nameof(SIGHUP_brings_pools_and_users_and_disturbs_nobody);
        var (pooler, address) = await fixture.StartAsync(await ConfigureAsync(Name, "first", "one"));
        await using var connection = await ConnectAsync(address, "first");
        await using var transaction = await connection.BeginTransactionAsync(Cancelled);
        var before = await ScalarAsync(connection, "select pg_backend_pid()");

        await ConfigureAsync(Name, "second", "one", "two");
        await pooler.SignalAsync("HUP");
        await pooler.WaitForAsync("Reloaded");

        Assert.Equal("1\n", (await PoolerUsersFixture.PsqlAsync(address, "second", "x", "postgres", "select 1")).EnsureSuccess().Output);
        Assert.Equal("1\n", (await PoolerUsersFixture.PsqlAsync(address, "second", "x", "two", "select 1")).EnsureSuccess().Output);
        Assert.Equal(before, await ScalarAsync(connection, "select pg_backend_pid()"));
        Assert.Equal(2, (await PoolerUsersFixture.PsqlAsync(address, "first", "x", "one", "select 1")).ExitCode);
    }

    [Fact]
    public async Task Console_reloads_or_says_what_is_wrong()
    {
        const string Name = nameof(Console_reloads_or_says_what_is_wrong);
        var file = await ConfigureAsync(Name, "admin");
        var (pooler, address) = await fixture.StartAsync(file);
        Assert.Contains("RELOAD", (await PoolerUsersFixture.PsqlAsync(address, "admin", "x", "pooler", "reload")).EnsureSuccess().Output, StringComparison.Ordinal);

        await File.WriteAllTextAsync(file, """{ "Listn": [] }""", Cancelled);
        var failed = await PoolerUsersFixture.PsqlAsync(address, "admin", "x", "pooler", "reload");

        Assert.Contains("Listn", failed.Error, StringComparison.Ordinal);
        Assert.Contains("what was in force stays so", failed.Error, StringComparison.Ordinal);
        Assert.Contains("Listn", (await pooler.WaitForAsync("ReloadFailed"))["Reason"], StringComparison.Ordinal);
        (await PoolerUsersFixture.PsqlAsync(address, "admin", "x", "postgres", "select 1")).EnsureSuccess();
    }

    [Fact]
    public async Task Reload_tells_what_waits_for_a_restart_and_which_address_it_cannot_have()
    {
        const string Name = nameof(Reload_tells_what_waits_for_a_restart_and_which_address_it_cannot_have);
        var configuration = Configuration(["admin"], fixture.Pool(("User", "postgres")));
        var (pooler, address) = await fixture.StartAsync(await fixture.ConfigureAsync(Name, configuration));

        configuration["Listen"] = new[] { "127.0.0.1:0", "unix:/nowhere/pooler.sock" };
        configuration["Management"] = $"unix:{Path.Combine(fixture.Directory, "unused.sock")}";
        await fixture.ConfigureAsync(Name, configuration);
        await pooler.SignalAsync("HUP");

        Assert.Equal("Management", (await pooler.WaitForAsync("RestartNeeded"))["Key"]);
        Assert.Contains("the directory /nowhere does not exist", (await pooler.WaitForAsync("ReloadIncomplete"))["Reason"], StringComparison.Ordinal);
        (await PoolerUsersFixture.PsqlAsync(address, "admin", "x", "postgres", "select 1")).EnsureSuccess();
    }

    [Fact]
    public async Task Changed_pool_replaces_its_connections_under_its_clients()
    {
        const string Name = nameof(Changed_pool_replaces_its_connections_under_its_clients);
        var (pooler, address) = await fixture.StartAsync(await ConfigureAsync(Name, "admin"));
        await using var connection = await ConnectAsync(address, "admin");
        Assert.Equal("postgres", await ScalarAsync(connection, "select current_user::text"));

        await fixture.ConfigureAsync(Name, Configuration(["admin"], fixture.Pool(("User", "elsewhere"))));
        (await fixture.Postgres.RunAsync("psql", "-qc", "create role elsewhere login")).EnsureSuccess();
        await pooler.SignalAsync("HUP");
        await pooler.WaitForAsync("Reloaded");

        Assert.Equal("elsewhere", await ScalarAsync(connection, "select current_user::text"));
    }

    [Fact]
    public async Task Pool_that_is_gone_ends_its_clients()
    {
        const string Name = nameof(Pool_that_is_gone_ends_its_clients);
        var (pooler, address) = await fixture.StartAsync(await ConfigureAsync(Name, "admin", "one"));
        await using var connection = await ConnectAsync(address, "admin", "one");

        await ConfigureAsync(Name, "admin");
        await pooler.SignalAsync("HUP");

        var ended = await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.QueryForEverAsync(connection).WaitAsync(Patience, Cancelled));
        Assert.Equal("57P01", ended.SqlState);
    }

    [Fact]
    public async Task Management_address_tells_how_pools_are()
    {
        var socket = Path.Combine(fixture.Directory, "management.sock");
        var configuration = Configuration(["admin"], fixture.Pool(("User", "postgres")));
        configuration["Management"] = $"unix:{socket}";
        var (pooler, address) = await fixture.StartAsync(await fixture.ConfigureAsync(nameof(Management_address_tells_how_pools_are), configuration));
        Assert.Equal($"http://unix:{socket}", (await pooler.WaitForAsync("ManagementListening"))["Address"]);
        await using var connection = await ConnectAsync(address, "admin");
        await ScalarAsync(connection, "listen news; select 1");

        async Task<string> GetAsync(string path) => (await CommandLine.RunAsync("curl", ["-sS", "--unix-socket", socket, $"http://pooler{path}"])).EnsureSuccess().Output;

        Assert.Equal("alive\n", await GetAsync("/healthz"));
        Assert.Equal("ready\n", await GetAsync("/readyz"));
        var metrics = await GetAsync("/metrics");
        Assert.Contains("tunnel_pool_servers_pinned{by=\"Listen\",pool=\"postgres\"} 1", metrics, StringComparison.Ordinal);
        Assert.Contains("tunnel_pool_clients{pool=\"postgres\",state=\"idle\"}", metrics, StringComparison.Ordinal);
        Assert.Matches("tunnel_pool_requests_total{.*pool=\"postgres\".*} [1-9]", metrics);
    }

    [Fact]
    public async Task Replication_passes_in_session_mode_and_only_there()
    {
        var configuration = Configuration(["postgres"], fixture.Pool(("User", "postgres"), ("Mode", "session")));
        ((Dictionary<string, object>)configuration["Pools"])["shared"] = fixture.Pool(("User", "postgres"), ("Database", "postgres"));

        // A standby, and whoever acts as one, asks for a database of this name.
        ((Dictionary<string, object>)configuration["Pools"])["replication"] = fixture.Pool(("User", "postgres"), ("Database", "postgres"), ("Mode", "session"));
        var (_, address) = await fixture.StartAsync(await fixture.ConfigureAsync(nameof(Replication_passes_in_session_mode_and_only_there), configuration));

        var system = await CommandLine.RunAsync("psql", [Options(address, "postgres", "database"), "-Atc", "IDENTIFY_SYSTEM"], Password());
        Assert.Equal(await DirectlyAsync("select system_identifier from pg_control_system()"), system.EnsureSuccess().Output.Split('|')[0]);
        var backup = Path.Combine(fixture.Directory, "backup");
        (await CommandLine.RunAsync("pg_basebackup", ["-d", Options(address, "postgres", "true"), "-D", backup, "-X", "stream", "-c", "fast", "--no-sync"], Password())).EnsureSuccess();
        Assert.True(File.Exists(Path.Combine(backup, "PG_VERSION")));

        var refused = await CommandLine.RunAsync("psql", [Options(address, "shared", "database"), "-Atc", "IDENTIFY_SYSTEM"], Password());
        Assert.Contains("session mode", refused.Error, StringComparison.Ordinal);
    }

    private static string Options(IPEndPoint address, string database, string replication) =>
        $"host={address.Address} port={address.Port} user=postgres dbname={database} replication={replication}";

    private static Dictionary<string, string> Password() => new() { ["PGPASSWORD"] = "x" };

    private static Dictionary<string, object> Configuration(string[] users, Dictionary<string, object> pool) => new()
    {
        ["Listen"] = Listen,
        ["Users"] = users.ToDictionary(static user => user, static _ => (object)new { Password = "x" }),
        ["Admins"] = users,
        ["Pools"] = new Dictionary<string, object> { ["postgres"] = pool },
    };

    private static async Task<NpgsqlConnection> ConnectAsync(IPEndPoint address, string user, string database = "postgres")
    {
        var connection = new NpgsqlConnection(
            $"Host={address.Address};Port={address.Port};Username={user};Password=x;Database={database};Pooling=false;Timeout=60;SSL Mode=Disable;GSS Encryption Mode=Disable");
        await connection.OpenAsync(Cancelled);
        return connection;
    }

    private static async Task<object?> ScalarAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(Cancelled);
    }

    private async Task<string> DirectlyAsync(string sql) => (await fixture.Postgres.RunAsync("psql", "-Atc", sql)).EnsureSuccess().Output.Trim();

    // Pools besides "postgres" are further names for the same database.
    private Task<string> ConfigureAsync(string name, string user, params string[] pools)
    {
        var configuration = Configuration([user], fixture.Pool(("User", "postgres")));
        foreach (var pool in pools)
        {
            ((Dictionary<string, object>)configuration["Pools"])[pool] = fixture.Pool(("User", "postgres"), ("Database", "postgres"));
        }

        return fixture.ConfigureAsync(name, configuration);
    }
}
