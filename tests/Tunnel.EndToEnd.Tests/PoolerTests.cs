using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using Npgsql;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Unmodified programs at the pooler, whose database is at the other end of a tunnel.</summary>
public sealed class PoolerTests(ClusterFixture fixture) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly Stack<ProgramProcess> _connectors = new();
    private TunnelCluster _cluster = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _cluster = await TunnelCluster.StartAsync(new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}" });
        _connectors.Push(await _cluster.StartConnectorAsync());
    }

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Theory]
    [InlineData("simple")]
    [InlineData("extended")]
    [InlineData("prepared")]
    public async Task Pgbench_runs_64_clients_on_5_connections(string mode)
    {
        var (_, address) = await _cluster.StartPoolerAsync("db", new Dictionary<string, object> { ["Max"] = 5 });

        var result = await RunAsync(address, "pgbench", "-n", "-M", mode, "-c", "64", "-j", "2", "-t", "20", "postgres");

        Assert.Contains("number of transactions actually processed: 1280/1280", result.EnsureSuccess().Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pgbench_connects_anew_for_each_transaction()
    {
        var (_, address) = await _cluster.StartPoolerAsync("db", new Dictionary<string, object> { ["Max"] = 5 });

        var result = await RunAsync(address, "pgbench", "-n", "-S", "-C", "-c", "16", "-j", "2", "-t", "20", "postgres");

        Assert.Contains("number of transactions actually processed: 320/320", result.EnsureSuccess().Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Npgsql_prepares_batches_copies_and_cancels(bool pooling)
    {
        var (_, address) = await _cluster.StartPoolerAsync("db", new Dictionary<string, object> { ["Max"] = 4 });
        await using var source = NpgsqlDataSource.Create($"{ConnectionString(address)};Pooling={pooling};Max Auto Prepare=20;Auto Prepare Min Usages=2");
        var table = $"npgsql_{pooling}".ToLowerInvariant();
        await ExecuteAsync(source, $"create table {table} (id int primary key, name text)");

        await Task.WhenAll(Enumerable.Range(0, 12).Select(worker => WorkAsync(source, table, worker)));

        await using var check = source.CreateCommand($"select count(*), sum(id) from {table}");
        await using var reader = await check.ExecuteReaderAsync(Cancelled);
        Assert.True(await reader.ReadAsync(Cancelled));
        Assert.Equal((12 * 40, Enumerable.Range(0, 12 * 40).Sum()), (reader.GetInt32(0), reader.GetInt32(1)));
        await reader.DisposeAsync();
        await ExecuteAsync(source, $"drop table {table}");
    }

    [Fact]
    public async Task Acknowledged_writes_are_there_and_nothing_is_written_twice_whatever_is_killed()
    {
        var (_, address) = await _cluster.StartPoolerAsync("db", new Dictionary<string, object> { ["Max"] = 5 });
        await using var direct = NpgsqlDataSource.Create(fixture.Postgres.ConnectionString());
        await ExecuteAsync(direct, "create table ledger (id int)");
        var (acknowledged, inDoubt) = (new ConcurrentBag<int>(), new ConcurrentBag<int>());
        using var stop = new CancellationTokenSource();
        var next = 0;
        var writers = Enumerable.Range(0, 8).Select(_ => WriteAsync(address, () => Interlocked.Increment(ref next), acknowledged, inDoubt, stop.Token)).ToArray();

        for (var round = 0; round < 4; round++)
        {
            await Task.Delay(500, Cancelled);
            await ExecuteAsync(direct, "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and query like '%ledger%'");
            await Task.Delay(500, Cancelled);
            await _connectors.Pop().SignalAsync("KILL");
            _connectors.Push(await _cluster.StartConnectorAsync());
        }

        var healed = acknowledged.Count;
        for (var watch = Stopwatch.StartNew(); acknowledged.Count < healed + 100;)
        {
            Assert.True(watch.Elapsed < Patience, "writing does not go on");
            await Task.Delay(100, Cancelled);
        }

        await stop.CancelAsync();
        await Task.WhenAll(writers).WaitAsync(Patience, Cancelled);
        await using var all = direct.CreateCommand("select id from ledger");
        await using var reader = await all.ExecuteReaderAsync(Cancelled);
        var written = new List<int>();
        while (await reader.ReadAsync(Cancelled))
        {
            written.Add(reader.GetInt32(0));
        }

        Assert.Equal(written.Count, written.Distinct().Count());
        Assert.Empty(acknowledged.Except(written));
        Assert.Empty(written.Except(acknowledged).Except(inDoubt));
        TestContext.Current.TestOutputHelper?.WriteLine($"{acknowledged.Count} acknowledged, {inDoubt.Count} in doubt, {written.Count} written");
        await reader.DisposeAsync();
        await ExecuteAsync(direct, "drop table ledger");
    }

    [Fact]
    public async Task Console_shows_and_kills()
    {
        var (_, address) = await _cluster.StartPoolerAsync("db");
        await using var client = new NpgsqlConnection($"{ConnectionString(address)};Pooling=false");
        await client.OpenAsync(Cancelled);
        await DatabaseClient.AssertAnswersAsync(client);

        Assert.Contains("postgres|transaction|", (await RunAsync(address, "psql", "-Atc", "show pools", "pooler")).EnsureSuccess().Output, StringComparison.Ordinal);
        var line = (await RunAsync(address, "psql", "-Atc", "show clients", "pooler")).EnsureSuccess().Output;
        Assert.Contains("|postgres|app|127.0.0.1:", line, StringComparison.Ordinal);
        Assert.Equal("KILL\n", (await RunAsync(address, "psql", "-Atc", $"kill client {line.Split('|')[0]}", "pooler")).EnsureSuccess().Output);

        var killed = await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.AssertAnswersAsync(client));
        Assert.Equal("57P01", killed.SqlState);
    }

    [Fact]
    public async Task Check_says_which_hop_failed()
    {
        var file = Path.Combine(_cluster.Directory, "check.json");
        await File.WriteAllTextAsync(file, $$"""
            { "Pools": {
                "good": { "Origin": "tunnel://{{TunnelCluster.HostnameOf("db")}}:{{_cluster.Port}}", "User": "postgres", "Database": "postgres", "Token": { "File": "{{_cluster.ApplicationToken}}" }, "IngressCaFile": "{{_cluster.CaFile}}" },
                "untrusted": { "Origin": "tunnel://{{TunnelCluster.HostnameOf("db")}}:{{_cluster.Port}}", "User": "postgres", "Token": { "File": "{{_cluster.ApplicationToken}}" } },
                "token": { "Origin": "tunnel://{{TunnelCluster.HostnameOf("db")}}:{{_cluster.Port}}", "User": "postgres", "Token": { "File": "{{_cluster.ConnectorToken}}" }, "IngressCaFile": "{{_cluster.CaFile}}" },
                "hostname": { "Origin": "tunnel://nothing.tunnel.localhost:{{_cluster.Port}}", "User": "postgres", "Token": { "File": "{{_cluster.ApplicationToken}}" }, "IngressCaFile": "{{_cluster.CaFile}}" },
                "database": { "Origin": "unix://{{fixture.Postgres.SocketPath}}", "User": "postgres", "Database": "nowhere" },
                "role": { "Origin": "unix://{{fixture.Postgres.SocketPath}}", "User": "nobody", "Database": "postgres" },
                "tls": { "Origin": "unix://{{fixture.Postgres.SocketPath}}", "User": "postgres", "Database": "postgres", "Tls": "verify-full" } } }
            """, Cancelled);

        var result = await CommandLine.RunAsync("tunnel-pooler", ["check", "--config", file]);

        Assert.Equal(1, result.ExitCode);
        foreach (var expected in new[]
        {
            "ok     good: PostgreSQL ", "FAILED untrusted at tls: ", "FAILED token at ingress: ", "FAILED hostname at tls: ",
            "FAILED database at database: ", "FAILED role at credentials: ", "FAILED tls at tls: the database offers no TLS",
        })
        {
            Assert.True(result.Output.Contains(expected, StringComparison.Ordinal), $"'{expected}' is not in:\n{result.Output}");
        }
    }

    [Fact]
    public async Task Ten_thousand_idle_clients_share_20_connections_in_250_MB()
    {
        const int Clients = 10_000;
        var socket = Path.Combine(_cluster.Directory, "pooler.sock");
        var file = Path.Combine(_cluster.Directory, "many.json");
        await File.WriteAllTextAsync(file, $$"""
            { "Listen": ["unix:{{socket}}"], "TrustUnixSockets": true,
              "Pools": { "postgres": { "Origin": "unix://{{fixture.Postgres.SocketPath}}", "User": "postgres", "Max": 20 } } }
            """, Cancelled);
        await using var pooler = ProgramProcess.Start("tunnel-pooler", ["run", "--config", file, "--log-format", "json"]);
        await pooler.WaitForAsync("PoolerListening");
        var clients = new List<System.Net.Sockets.Socket>();
        try
        {
            for (var i = 0; i < Clients; i++)
            {
                clients.Add(await TrustedSocketAsync(socket));
            }

            foreach (var client in clients)
            {
                await client.SendAsync(SelectOne, Cancelled);
                var answer = await client.ReceiveExactlyAsync(SelectOneAnswer);
                Assert.Equal((byte)'I', answer[^1]);
            }

            var status = await File.ReadAllLinesAsync($"/proc/{pooler.Id}/status", Cancelled);
            var resident = int.Parse(status.First(static line => line.StartsWith("VmRSS:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
            TestContext.Current.TestOutputHelper?.WriteLine($"pooler: {resident / 1024} MB with {Clients} clients");
            Assert.InRange(resident, 0, 250 * 1024);
        }
        finally
        {
            clients.ForEach(static client => client.Dispose());
        }
    }

    [Fact]
    public async Task Drain_lets_clients_finish_and_tells_those_who_do_not()
    {
        var (pooler, address) = await _cluster.StartPoolerAsync("db");
        await using var busy = new NpgsqlConnection($"{ConnectionString(address)};Pooling=false");
        await busy.OpenAsync(Cancelled);
        await using var command = new NpgsqlCommand("select pg_sleep(2), 'finished by the drain'", busy);
        var running = command.ExecuteNonQueryAsync(Cancelled);
        await DatabaseClient.UntilSleepsAsync(fixture.Postgres, "finished by the drain");

        await pooler.SignalAsync("TERM");

        await running;
        await pooler.WaitForAsync("PoolerDrainCut");
        Assert.Equal(0, await pooler.WaitForExitAsync());
        var told = await Assert.ThrowsAnyAsync<NpgsqlException>(() => DatabaseClient.AssertAnswersAsync(busy));
        Assert.Equal("57P01", (told as PostgresException ?? told.InnerException as PostgresException)?.SqlState);
    }

    private static byte[] SelectOne => [(byte)'Q', 0, 0, 0, 13, .. "select 1"u8, 0];

    // RowDescription of one column, DataRow of one digit, CommandComplete, ReadyForQuery.
    private const int SelectOneAnswer = 34 + 12 + 14 + 6;

    private static async Task<System.Net.Sockets.Socket> TrustedSocketAsync(string path)
    {
        var socket = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified);
        await socket.ConnectAsync(new System.Net.Sockets.UnixDomainSocketEndPoint(path), Cancelled);
        await socket.SendAsync(new byte[] { 0, 0, 0, 36, 0, 3, 0, 0 }.Concat("user\0app\0database\0postgres\0\0"u8.ToArray()).ToArray(), Cancelled);
        while ((await socket.ReceiveExactlyAsync(1))[0] is var type)
        {
            var length = System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(await socket.ReceiveExactlyAsync(4));
            var body = await socket.ReceiveExactlyAsync(length - 4);
            Assert.NotEqual((byte)'E', type);
            if (type == 'Z')
            {
                break;
            }
        }

        return socket;
    }

    private static string ConnectionString(IPEndPoint address) =>
        $"Host={address.Address};Port={address.Port};Username={TunnelCluster.PoolerUser};Password={TunnelCluster.PoolerPassword};Database=postgres;Timeout=60;Command Timeout=120;Cancellation Timeout=60000;SSL Mode=Disable";

    private static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Cancelled);
    }

    private async Task WorkAsync(NpgsqlDataSource source, string table, int worker)
    {
        await using var connection = await source.OpenConnectionAsync(Cancelled);
        await using (var import = await connection.BeginBinaryImportAsync($"copy {table} from stdin (format binary)", Cancelled))
        {
            for (var row = 0; row < 20; row++)
            {
                await import.WriteRowAsync(Cancelled, (worker * 40) + row, $"copied {row}");
            }

            await import.CompleteAsync(Cancelled);
        }

        await using (var transaction = await connection.BeginTransactionAsync(Cancelled))
        {
            await using var batch = new NpgsqlBatch(connection, transaction);
            for (var row = 20; row < 40; row++)
            {
                batch.BatchCommands.Add(new NpgsqlBatchCommand($"insert into {table} values ($1, $2)")
                {
                    Parameters = { new() { Value = (worker * 40) + row }, new() { Value = $"batched {row}" } },
                });
            }

            await batch.ExecuteNonQueryAsync(Cancelled);
            await transaction.CommitAsync(Cancelled);
        }

        await using var select = new NpgsqlCommand($"select name from {table} where id = $1", connection) { Parameters = { new() { Value = 0 } } };
        await select.PrepareAsync(Cancelled);
        for (var row = 0; row < 40; row++)
        {
            select.Parameters[0].Value = (worker * 40) + row;
            Assert.Equal(row < 20 ? $"copied {row}" : $"batched {row}", await select.ExecuteScalarAsync(Cancelled));
        }

        await DatabaseClient.CancelSleepAsync(connection, fixture.Postgres, $"worker {worker} of {table}");
        await DatabaseClient.AssertAnswersAsync(connection);
    }

    private static async Task WriteAsync(
        IPEndPoint address, Func<int> next, ConcurrentBag<int> acknowledged, ConcurrentBag<int> inDoubt, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var id = next();
            try
            {
                await using var connection = new NpgsqlConnection($"{ConnectionString(address)};Pooling=false");
                await connection.OpenAsync(CancellationToken.None);
                while (!stop.IsCancellationRequested)
                {
                    id = next();
                    await using var insert = new NpgsqlCommand($"insert into ledger values ({id.ToString(CultureInfo.InvariantCulture)})", connection);
                    await insert.ExecuteNonQueryAsync(CancellationToken.None);
                    acknowledged.Add(id);
                }
            }
            catch (NpgsqlException)
            {
                inDoubt.Add(id);
            }
        }
    }

    private static Task<CommandResult> RunAsync(IPEndPoint address, string program, params string[] arguments) => CommandLine.RunAsync(
        program,
        arguments,
        new Dictionary<string, string>
        {
            ["PGHOST"] = address.Address.ToString(),
            ["PGPORT"] = address.Port.ToString(CultureInfo.InvariantCulture),
            ["PGUSER"] = TunnelCluster.PoolerUser,
            ["PGPASSWORD"] = TunnelCluster.PoolerPassword,
        },
        timeout: TimeSpan.FromMinutes(4));
}
