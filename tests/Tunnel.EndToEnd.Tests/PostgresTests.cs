using System.Text;
using System.Text.RegularExpressions;
using Npgsql;

namespace Tunnel.EndToEnd.Tests;

/// <summary>PostgreSQL through every way in, with its own tools and an ordinary driver.</summary>
public sealed partial class PostgresTests(ClusterFixture fixture)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    public static TheoryData<string> WaysIn => ClusterFixture.WaysIn;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Database_has_no_port_at_all()
    {
        var result = (await fixture.Postgres.RunAsync("psql", "-Atc", "show listen_addresses")).EnsureSuccess();

        Assert.Equal("", result.Output.Trim());
    }

    [Theory]
    [MemberData(nameof(WaysIn))]
    public async Task Psql_works(string way)
    {
        var result = await fixture.RunAsync(way, "psql", ["-At", "-c", "select 6 * 7", "-c", "select count(*) from pgbench_accounts"]);

        Assert.Equal("42\n200000\n", result.EnsureSuccess().Output);
    }

    [Theory]
    [MemberData(nameof(WaysIn))]
    public async Task Pgbench_works_in_all_query_modes(string way)
    {
        foreach (var mode in new[] { "simple", "extended", "prepared" })
        {
            var result = (await fixture.RunAsync(way, "pgbench", ["-n", "-M", mode, "-c", "4", "-j", "2", "-t", "50", "postgres"])).EnsureSuccess();

            Assert.Contains("number of transactions actually processed: 200/200", result.Output, StringComparison.Ordinal);
            Assert.Contains("number of failed transactions: 0", result.Output, StringComparison.Ordinal);
        }
    }

    [Theory]
    [MemberData(nameof(WaysIn))]
    public async Task Copy_carries_the_same_rows_in_and_out(string way)
    {
        var rows = new StringBuilder();
        var random = new Random(7);
        for (var row = 0; row < 50_000; row++)
        {
            rows.Append(row).Append('\t').Append(random.NextInt64()).Append('\t').Append('x', random.Next(100)).Append('\n');
        }

        await fixture.RunAsync(way, "psql", ["-qc", "drop table if exists copied; create table copied (id int, n bigint, t text)"]);
        (await fixture.RunAsync(way, "psql", ["-qc", "copy copied from stdin"], rows.ToString())).EnsureSuccess();
        var back = (await fixture.RunAsync(way, "psql", ["-qc", "copy (select * from copied order by id) to stdout"])).EnsureSuccess();

        Assert.Equal(rows.ToString(), back.Output);
    }

    [Theory]
    [MemberData(nameof(WaysIn))]
    public async Task Notification_reaches_a_listener_that_waits(string way)
    {
        await using var listener = await fixture.ConnectAsync(way);
        var heard = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        listener.Notification += (_, notification) => heard.TrySetResult(notification.Payload);
        await using (var listen = new NpgsqlCommand("listen news", listener))
        {
            await listen.ExecuteNonQueryAsync(Cancelled);
        }

        var waiting = listener.WaitAsync(Cancelled);
        (await fixture.RunAsync(way, "psql", ["-qc", "notify news, 'hello'"])).EnsureSuccess();

        await waiting.WaitAsync(Patience, Cancelled);
        Assert.Equal("hello", await heard.Task.WaitAsync(Patience, Cancelled));
    }

    [Theory]
    [MemberData(nameof(WaysIn))]
    public async Task Query_can_be_cancelled_and_the_connection_lives_on(string way)
    {
        await using var connection = await fixture.ConnectAsync(way);
        await using var sleep = new NpgsqlCommand("select pg_sleep(60)", connection);
        var running = sleep.ExecuteNonQueryAsync(Cancelled);
        await using var observer = await fixture.ConnectAsync(way);
        await UntilAsync(observer, $"select count(*) from pg_stat_activity where pid = {connection.ProcessID} and wait_event = 'PgSleep'");

        await Task.Run(sleep.Cancel, Cancelled);

        var exception = await Assert.ThrowsAsync<OperationCanceledException>(() => running.WaitAsync(Patience, Cancelled));
        Assert.Equal(PostgresErrorCodes.QueryCanceled, Assert.IsType<PostgresException>(exception.InnerException).SqlState);
        await using var next = new NpgsqlCommand("select 1", connection);
        Assert.Equal(1, await next.ExecuteScalarAsync(Cancelled));
    }

    [Theory]
    [InlineData("forwarder TCP", 200)]
    [InlineData("ingress Unix", 20)]
    public async Task Dump_through_the_tunnel_restores_byte_identical(string way, int megabytes)
    {
        // Text that does not repeat, about 1 KiB a row.
        await RunSqlAsync("drop table if exists bulky");
        await RunSqlAsync($"create table bulky as select g, (select string_agg(md5((g * 100 + i)::text), '') from generate_series(1, 31) i) t from generate_series(1, {megabytes * 1024}) g");
        var directory = fixture.Cluster.Directory;
        var direct = Path.Combine(directory, "direct.sql");
        var tunnelled = Path.Combine(directory, "tunnelled.sql");
        var restored = Path.Combine(directory, "restored.sql");
        (await fixture.Postgres.RunAsync("pg_dump", "-t", "bulky", "-f", direct, "postgres")).EnsureSuccess();

        (await fixture.RunAsync(way, "pg_dump", ["-t", "bulky", "-f", tunnelled, "postgres"])).EnsureSuccess();
        (await fixture.RunAsync(way, "psql", ["-qc", "drop database if exists restored", "-c", "create database restored"])).EnsureSuccess();
        (await fixture.RunAsync(way, "psql", ["-q", "-v", "ON_ERROR_STOP=1", "-d", "restored", "-f", tunnelled])).EnsureSuccess();
        (await fixture.Postgres.RunAsync("pg_dump", "-t", "bulky", "-f", restored, "restored")).EnsureSuccess();

        Assert.True(new FileInfo(direct).Length > megabytes * 1_000_000L);
        var expected = await ContentAsync(direct);
        Assert.Equal(expected, await ContentAsync(tunnelled));
        Assert.Equal(expected, await ContentAsync(restored));
        await RunSqlAsync("drop table bulky");
        await RunSqlAsync("drop database restored");
    }

    [Fact]
    public async Task Application_learns_from_PostgreSQLs_own_error_what_failed()
    {
        var (_, addresses) = await fixture.Cluster.StartForwarderAsync("refusing");
        var forwarder = addresses[0].Split(':')[1];
        var ingress = (await fixture.Cluster.LocalListenerAsync("refusing")).Port.ToString(System.Globalization.CultureInfo.InvariantCulture);

        foreach (var port in new[] { forwarder, ingress })
        {
            var result = await Testing.CommandLine.RunAsync("psql", ["-h", "127.0.0.1", "-p", port, "-U", "postgres", "-c", "select 1"]);

            Assert.Equal(2, result.ExitCode);
            Assert.Contains("FATAL:  tunnel: The target of service refusing refused the connection.", result.Error, StringComparison.Ordinal);
            Assert.Contains("hop target (connection-refused)", result.Error, StringComparison.Ordinal);
        }
    }

    private async Task RunSqlAsync(string sql) => (await fixture.Postgres.RunAsync("psql", "-qc", sql)).EnsureSuccess();

    private static async Task UntilAsync(NpgsqlConnection connection, string countSql)
    {
        await using var command = new NpgsqlCommand(countSql, connection);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(Patience);
        while ((long)(await command.ExecuteScalarAsync(limit.Token))! == 0)
        {
            await Task.Delay(50, limit.Token);
        }
    }

    // Newer pg_dump fences its output with a random key.
    private static async Task<string> ContentAsync(string file)
    {
        using var hash = System.Security.Cryptography.IncrementalHash.CreateHash(System.Security.Cryptography.HashAlgorithmName.SHA256);
        await foreach (var line in File.ReadLinesAsync(file, Cancelled))
        {
            if (!Fence().IsMatch(line))
            {
                hash.AppendData(Encoding.UTF8.GetBytes(line + "\n"));
            }
        }

        return Convert.ToHexString(hash.GetHashAndReset());
    }

    [GeneratedRegex(@"^\\(un)?restrict ")]
    private static partial Regex Fence();
}
