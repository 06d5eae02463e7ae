using System.Globalization;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Npgsql;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Ordinary drivers at the ingress's PostgreSQL port, with a service token as user and password.</summary>
public sealed class PostgresPortTests(PostgresPortFixture fixture) : IClassFixture<PostgresPortFixture>
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly TunnelCluster _cluster = fixture.Cluster;
    private readonly PostgresServer _postgres = fixture.Postgres;
    private readonly IPEndPoint _address = fixture.Address;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Hostname_and_token_are_all_that_a_client_needs()
    {
        var result = (await fixture.PsqlAsync(fixture.HostnameOptions("orders"), fixture.Token, "select current_user, current_database(), 6 * 7")).EnsureSuccess();

        Assert.Equal("pooled|orders|42\n", result.Output);
    }

    [Theory]
    [InlineData("db")]
    [InlineData("db/orders")]
    public async Task Without_a_hostname_the_database_names_the_service(string database)
    {
        var result = await fixture.PsqlAsync(
            new() { ["PGHOST"] = "127.0.0.1", ["PGSSLMODE"] = "require", ["PGSSLSNI"] = "0", ["PGDATABASE"] = database }, fixture.Token, "select current_database()");

        Assert.Equal("orders\n", result.EnsureSuccess().Output);
    }

    [Fact]
    public async Task Driver_with_many_connections_shares_few()
    {
        var (id, secret) = fixture.Token;
        await using var source = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder
        {
            Host = "localhost",
            Port = _address.Port,
            Username = id,
            Password = secret,
            Database = "db",
            SslMode = SslMode.VerifyFull,
            RootCertificate = _cluster.CaFile,
            MaxAutoPrepare = 10,
            AutoPrepareMinUsages = 1,
            Timeout = 60,
            CommandTimeout = 120,
        });
        await ExecuteAsync(source, "create table entries (id int primary key, name text)");

        await Task.WhenAll(Enumerable.Range(0, 16).Select(async worker =>
        {
            for (var i = 0; i < 25; i++)
            {
                await using var command = source.CreateCommand("insert into entries values ($1, $2)");
                command.Parameters.AddWithValue((worker * 25) + i);
                command.Parameters.AddWithValue($"name {i}");
                await command.ExecuteNonQueryAsync(Cancelled);
            }
        }));

        await using var count = source.CreateCommand("select count(*) from entries");
        Assert.Equal(16 * 25L, await count.ExecuteScalarAsync(Cancelled));

        // Those that a test before this one has left behind may not have ended yet; these stay.
        await PostgresPortFixture.UntilAsync(async () =>
        {
            var sessions = (await _postgres.RunAsync("psql", "-Atc", "select count(*) from pg_stat_activity where usename = 'pooled'")).EnsureSuccess();
            return int.Parse(sessions.Output.Trim(), CultureInfo.InvariantCulture) is >= 1 and <= 4;
        });
    }

    [Fact]
    public async Task Every_token_that_is_not_good_here_fails_alike()
    {
        var (id, secret) = fixture.Token;
        var elsewhere = await CreateTokenAsync("elsewhere", "--access", "other");
        var connector = PostgresPortFixture.TokenOf(_cluster.ConnectorToken);
        var revoked = await CreateTokenAsync("revoked", "--access", "db");
        await _cluster.AdminAsync("token", "revoke", revoked.Id);
        await PostgresPortFixture.UntilAsync(async () => (await fixture.PsqlAsync(fixture.HostnameOptions("orders"), revoked, "select 1")).ExitCode == 2);
        var refusals = new List<string>();
        foreach (var (user, password) in new[] { (id, secret + "x"), ("nobody", secret), elsewhere, connector, revoked })
        {
            var result = await fixture.PsqlAsync(fixture.HostnameOptions("orders"), (user, password), "select 1");
            Assert.Equal(2, result.ExitCode);
            refusals.Add(result.Error.Replace(user, "USER", StringComparison.Ordinal));
        }

        Assert.Contains("password authentication failed", Assert.Single(refusals.Distinct()), StringComparison.Ordinal);
        using var http = new HttpClient();
        var metrics = await http.GetStringAsync(new Uri(_cluster.Management, "/metrics"), Cancelled);
        Assert.Matches("(?m)^tunnel_ingress_access_denied\\S* ([5-9]|\\d{2,})", metrics);
    }

    [Fact]
    public async Task Plain_connections_are_refused_and_told_why()
    {
        var options = fixture.HostnameOptions("orders");
        options["PGSSLMODE"] = "disable";

        var result = await fixture.PsqlAsync(options, fixture.Token, "select 1");

        Assert.Contains("sslmode=require", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Database_that_the_pool_is_not_for_does_not_exist()
    {
        var result = await fixture.PsqlAsync(fixture.HostnameOptions("postgres"), fixture.Token, "select 1");

        Assert.Contains("no pool is configured for database \"postgres\"", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Revocation_disconnects_the_tokens_clients()
    {
        var token = await CreateTokenAsync("short-lived", "--access", "db");
        await using var connection = await ConnectAsync(token);

        await _cluster.AdminAsync("token", "revoke", token.Id);

        var ended = await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.QueryForEverAsync(connection).WaitAsync(Patience, Cancelled));
        Assert.Equal("57P01", ended.SqlState);
    }

    [Theory]
    [InlineData("f", "access was withdrawn")]
    [InlineData("database", "server closed the connection unexpectedly")]
    public async Task Revocation_disconnects_those_who_replicate_or_say_that_they_do_not(string replication, string told)
    {
        (await _postgres.RunAsync("psql", "-qc", "alter role pooled replication")).EnsureSuccess();
        await fixture.SetPoolAsync(PostgresPortFixture.OriginPassword, "--mode", "session");
        await PostgresPortFixture.UntilAsync(async () => (await fixture.PsqlAsync(fixture.HostnameOptions("orders"), fixture.Token, "IDENTIFY_SYSTEM", "replication=database")).ExitCode == 0);
        var token = await CreateTokenAsync($"replicates-{replication}", "--access", "db");
        var querying = fixture.PsqlAsync(fixture.HostnameOptions("orders"), token, "select pg_sleep(60)", $"replication={replication}");
        async Task<string> RunningAsync() => (await _postgres.RunAsync("psql", "-Atc", "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)'")).EnsureSuccess().Output;
        await PostgresPortFixture.UntilAsync(async () => await RunningAsync() == "1\n");

        await _cluster.AdminAsync("token", "revoke", token.Id);

        var ended = await querying.WaitAsync(Patience, Cancelled);
        Assert.Equal(2, ended.ExitCode);
        Assert.Contains(told, ended.Error, StringComparison.Ordinal);
        await PostgresPortFixture.UntilAsync(async () => await RunningAsync() == "0\n");
        await fixture.SetPoolAsync(PostgresPortFixture.OriginPassword, "--mode", "transaction");
        await PostgresPortFixture.UntilAsync(async () => (await fixture.PsqlAsync(fixture.HostnameOptions("orders"), fixture.Token, "IDENTIFY_SYSTEM", "replication=database")).ExitCode == 2);
    }

    [Fact]
    public async Task Both_secrets_are_good_while_a_rotation_overlaps()
    {
        var token = await CreateTokenAsync("rotated", "--access", "db");
        var rotated = await _cluster.AdminAsync("token", "rotate", token.Id, "--overlap", "1h");
        var fresh = rotated.GetProperty("clientSecret").GetString()!;
        await PostgresPortFixture.UntilAsync(async () => (await fixture.PsqlAsync(fixture.HostnameOptions("orders"), (token.Id, fresh), "select 1")).ExitCode == 0);

        (await fixture.PsqlAsync(fixture.HostnameOptions("orders"), token, "select 1")).EnsureSuccess();
        await _cluster.AdminAsync("token", "rotate", token.Id, "--overlap", "0s");

        await PostgresPortFixture.UntilAsync(async () => (await fixture.PsqlAsync(fixture.HostnameOptions("orders"), token, "select 1")).ExitCode == 2);
        Assert.Equal(2, (await fixture.PsqlAsync(fixture.HostnameOptions("orders"), (token.Id, fresh), "select 1")).ExitCode);
    }

    [Fact]
    public async Task Change_of_the_pool_takes_effect_while_clients_stay()
    {
        await using var connection = await ConnectAsync(fixture.Token);
        (await _postgres.RunAsync("psql", "-qc", "alter role pooled password 'another one'")).EnsureSuccess();
        await fixture.SetPoolAsync("wrong", "--max", "3");
        await PostgresPortFixture.UntilAsync(async () => (await fixture.PsqlAsync(fixture.HostnameOptions("orders"), fixture.Token, "select 1")).Error.Contains("DETAIL:  The connection failed at hop credentials.", StringComparison.Ordinal));
        await _cluster.Ingress.WaitForAsync("ServerFailed", static failure => failure["Hop"] == "credentials");

        (await _postgres.RunAsync("psql", "-qc", $"alter role pooled password '{PostgresPortFixture.OriginPassword}'")).EnsureSuccess();
        await fixture.RestorePoolAsync();

        await DatabaseClient.AssertAnswersAsync(connection);
    }

    [Fact]
    public async Task Pool_that_is_removed_disconnects_its_clients()
    {
        await using var connection = await ConnectAsync(fixture.Token);

        await _cluster.AdminAsync("pool", "remove", "db");

        var ended = await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.QueryForEverAsync(connection).WaitAsync(Patience, Cancelled));
        Assert.Equal("57P01", ended.SqlState);
        Assert.Contains("no pool is configured", (await fixture.PsqlAsync(fixture.HostnameOptions("orders"), fixture.Token, "select 1")).Error, StringComparison.Ordinal);
        await fixture.RestorePoolAsync();
    }

    [Fact]
    public async Task Pool_heals_when_its_connector_comes_back()
    {
        (await fixture.PsqlAsync(fixture.HostnameOptions("orders"), fixture.Token, "select 1")).EnsureSuccess();
        foreach (var running in _cluster.Connectors)
        {
            await running.SignalAsync("KILL");
        }

        await _cluster.Ingress.WaitForAsync("ConnectorOffline");
        await PostgresPortFixture.UntilAsync(async () => (await fixture.PsqlAsync(fixture.HostnameOptions("orders"), fixture.Token, "select 1")).Error.Contains("No connector", StringComparison.Ordinal));

        await _cluster.StartConnectorAsync();

        await PostgresPortFixture.UntilAsync(async () => (await fixture.PsqlAsync(fixture.HostnameOptions("orders"), fixture.Token, "select 1")).ExitCode == 0);
    }

    [Fact]
    public async Task Connector_that_drains_is_not_held_by_idle_connections()
    {
        var other = await _cluster.StartConnectorAsync();
        await using var connection = await ConnectAsync(fixture.Token);
        await DatabaseClient.AssertAnswersAsync(connection);
        foreach (var running in _cluster.Connectors.Where(running => running != other))
        {
            await running.SignalAsync("TERM");
        }

        foreach (var running in _cluster.Connectors.Where(running => running != other))
        {
            await running.WaitForExitAsync(Patience);
            Assert.Equal(0, running.Count("DrainCut"));
        }

        await DatabaseClient.AssertAnswersAsync(connection);
    }

    [Fact]
    public async Task Metrics_tell_of_the_pool()
    {
        await using var connection = await ConnectAsync(fixture.Token);
        await DatabaseClient.AssertAnswersAsync(connection);
        using var http = new HttpClient();

        await PostgresPortFixture.UntilAsync(async () =>
        {
            // The tests before this one leave connections too.
            var connections = (await _postgres.RunAsync("psql", "-Atc", "select count(*) from pg_stat_activity where usename = 'pooled'")).EnsureSuccess().Output.Trim();
            var metrics = await http.GetStringAsync(new Uri(_cluster.Management, "/metrics"), Cancelled);
            return connections != "0"
                && Regex.IsMatch(metrics, "^tunnel_pool_clients{.*pool=\"db\".*state=\"idle\".*} 1( |$)", RegexOptions.Multiline)
                && Regex.IsMatch(metrics, $"^tunnel_pool_servers{{.*pool=\"db\".*state=\"idle\".*}} {connections}( |$)", RegexOptions.Multiline);
        });
    }

    [Fact]
    public async Task Credentials_are_nowhere_in_clear()
    {
        (await fixture.PsqlAsync(fixture.HostnameOptions("orders"), fixture.Token, "select 1")).EnsureSuccess();
        var listed = (await _cluster.AdminAsync("pool", "list")).ToString();

        Assert.Contains("pooled", listed, StringComparison.Ordinal);
        Assert.DoesNotContain(PostgresPortFixture.OriginPassword, listed, StringComparison.Ordinal);
        Assert.DoesNotContain(PostgresPortFixture.OriginPassword, _cluster.AllLogs(), StringComparison.Ordinal);
        var modes = (await CommandLine.RunAsync("find", [Path.Combine(_cluster.Directory, "state"), "-perm", "/077", "-not", "-name", "dev-ca.pem"])).EnsureSuccess();
        Assert.Equal("", modes.Output);
        var password = Encoding.UTF8.GetBytes(PostgresPortFixture.OriginPassword);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(_cluster.Directory, "state"), "*", SearchOption.AllDirectories))
        {
            Assert.Equal(-1, (await File.ReadAllBytesAsync(file, Cancelled)).AsSpan().IndexOf(password));
        }
    }

    private static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Cancelled);
    }

    private async Task<(string Id, string Secret)> CreateTokenAsync(string name, params string[] scope)
    {
        var created = await _cluster.AdminAsync(["token", "create", name, .. scope]);
        var token = (created.GetProperty("clientId").GetString()!, created.GetProperty("clientSecret").GetString()!);
        if (scope is ["--access", "db"])
        {
            await PostgresPortFixture.UntilAsync(async () => (await fixture.PsqlAsync(fixture.HostnameOptions("orders"), token, "select 1")).ExitCode == 0);
        }

        return token;
    }

    private async Task<NpgsqlConnection> ConnectAsync((string Id, string Secret) token)
    {
        var connection = new NpgsqlConnection(
            $"Host=localhost;Port={_address.Port};Username={token.Id};Password={token.Secret};Database=db/orders;SSL Mode=VerifyFull;Root Certificate={_cluster.CaFile};Pooling=false;Timeout=60");
        await connection.OpenAsync(Cancelled);
        return connection;
    }
}
