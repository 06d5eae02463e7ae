using System.Globalization;
using System.Net;
using Npgsql;
using NpgsqlTypes;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>
/// Npgsql in all its ways, many workers on 5 connections over the tunnel. What it needs of a pooler: its type loading at the first
/// connect is a pipeline of several statements, a pooled connection that it takes again begins with DISCARD ALL (or, where it has
/// prepared statements, with the parts of it that keep them), and statements that it prepares by itself have names.
/// </summary>
public sealed class PoolerNpgsqlTests(PoolerNpgsqlTests.SharedPooler pooler) : IClassFixture<PoolerNpgsqlTests.SharedPooler>
{
    private const int Workers = 12;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static TheoryData<string> Ways => new(
        "Pooling=false",
        "Maximum Pool Size=16",
        "Maximum Pool Size=6;No Reset On Close=true",
        "Maximum Pool Size=16;Max Auto Prepare=30;Auto Prepare Min Usages=2",
        "Maximum Pool Size=16;Max Auto Prepare=4;Auto Prepare Min Usages=1;Keepalive=1",
        "Maximum Pool Size=8;Connection Lifetime=1;Connection Idle Lifetime=1;Connection Pruning Interval=1",
        "Multiplexing=true;Maximum Pool Size=4",
        "Multiplexing=true;Maximum Pool Size=4;Max Auto Prepare=30;Auto Prepare Min Usages=2");

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Every_way_gives_every_answer(string way)
    {
        await using var source = Source(way);
        var table = await TableAsync(source);

        await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => WorkAsync(source, table, worker)));

        Assert.Equal(Workers * 50L, await ScalarAsync(source, $"select count(*) from {table}"));
        await ExecuteAsync(source, $"drop table {table}");
    }

    [Theory]
    [InlineData("Pooling=false")]
    [InlineData("Maximum Pool Size=16;Max Auto Prepare=30;Auto Prepare Min Usages=1")]
    public async Task Error_barriers_keep_failures_apart(string way)
    {
        await using var source = Source(way);
        var table = await TableAsync(source);

        await Task.WhenAll(Enumerable.Range(0, Workers).Select(async worker =>
        {
            await using var connection = await source.OpenConnectionAsync(Cancelled);
            for (var round = 0; round < 5; round++)
            {
                var id = (worker * 100) + (round * 10);
                await FailInTheMiddleAsync(connection, table, id, barriers: true);
                Assert.Equal(2L, await CountAsync(connection, table, id));

                // Without barriers it is one implicit transaction: nothing of it stays.
                await FailInTheMiddleAsync(connection, table, id + 5, barriers: false);
                Assert.Equal(0L, await CountAsync(connection, table, id + 5));
            }
        }));

        await ExecuteAsync(source, $"drop table {table}");
    }

    [Theory]
    [InlineData("Pooling=false")]
    [InlineData("Maximum Pool Size=16")]
    [InlineData("Maximum Pool Size=16;Max Auto Prepare=10;Auto Prepare Min Usages=1;Keepalive=1")]
    public async Task Settings_follow_their_client_and_temporary_tables_keep_the_connection(string way)
    {
        await using var source = Source(way);
        for (var schema = 0; schema < 4; schema++)
        {
            await ExecuteAsync(source, $"create schema if not exists npgsql_{schema}");
            await ExecuteAsync(source, $"create table if not exists npgsql_{schema}.place as select {schema} as whose");
        }

        await Task.WhenAll(Enumerable.Range(0, Workers).Select(async worker =>
        {
            await using var connection = await source.OpenConnectionAsync(Cancelled);
            var schema = worker % 4;
            await ExecuteAsync(connection, $"set search_path = npgsql_{schema}, public");
            await ExecuteAsync(connection, $"set application_name = 'worker {worker}'");
            for (var round = 0; round < 10; round++)
            {
                Assert.Equal(schema, await ScalarAsync(connection, "select whose from place"));
                Assert.Equal($"worker {worker}", await ScalarAsync(connection, "select current_setting('application_name')"));
            }

            if (worker % 4 == 0)
            {
                await ExecuteAsync(connection, $"create temporary table mine as select {worker} as whose");
                var process = await ScalarAsync(connection, "select pg_backend_pid()");
                for (var round = 0; round < 5; round++)
                {
                    Assert.Equal(worker, await ScalarAsync(connection, "select whose from mine"));
                    Assert.Equal(process, await ScalarAsync(connection, "select pg_backend_pid()"));
                }
            }

            // Given back, the connection is as new to its next user.
            await connection.CloseAsync();
            await connection.OpenAsync(Cancelled);
            Assert.Equal("\"$user\", public", await ScalarAsync(connection, "select current_setting('search_path')"));
            Assert.Equal(DBNull.Value, await ScalarAsync(connection, "select to_regclass('pg_temp.mine')::text"));
        }));
    }

    [Fact]
    public async Task Without_reset_a_setting_stays_with_the_pooled_connection()
    {
        await using var source = Source("Maximum Pool Size=1;No Reset On Close=true");
        await using (var first = await source.OpenConnectionAsync(Cancelled))
        {
            await ExecuteAsync(first, "set application_name = 'kept'");
        }

        await using var again = await source.OpenConnectionAsync(Cancelled);
        Assert.Equal("kept", await ScalarAsync(again, "select current_setting('application_name')"));
    }

    [Fact]
    public async Task Keepalives_and_notifications_pass_while_nothing_is_asked()
    {
        await using var source = Source("Pooling=false;Keepalive=1");
        await using var listener = await source.OpenConnectionAsync(Cancelled);
        var heard = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        listener.Notification += (_, news) => heard.TrySetResult(news.Payload);
        await ExecuteAsync(listener, "listen npgsql_news");

        var process = await ScalarAsync(listener, "select pg_backend_pid()");
        var idleSince = await ScalarAsync(source, $"select state_change::text from pg_stat_activity where pid = {process}");
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(TimeSpan.FromSeconds(90));
        var waiting = listener.WaitAsync(limit.Token);

        // Its Sync changes nothing but the time of the last change.
        while ((bool)(await ScalarAsync(source, $"select state_change::text = $${idleSince}$$ from pg_stat_activity where pid = {process}"))!)
        {
            await Task.Delay(100, limit.Token);
        }

        await ExecuteAsync(source, "notify npgsql_news, 'hello'");
        await waiting;
        Assert.Equal("hello", await heard.Task.WaitAsync(limit.Token));
        Assert.Equal(1, await ScalarAsync(listener, "select 1"));
    }

    private async Task WorkAsync(NpgsqlDataSource source, string table, int worker)
    {
        var first = worker * 1000;
        await CopyAsync(source, table, first);
        for (var i = 30; i < 40; i++)
        {
            await using var insert = source.CreateCommand($"insert into {table} values ($1, $2, $3)");
            insert.Parameters.AddWithValue(first + i);
            insert.Parameters.AddWithValue($"single {i}");
            insert.Parameters.AddWithValue(DateTime.UnixEpoch.AddSeconds(i));
            Assert.Equal(1, await insert.ExecuteNonQueryAsync(Cancelled));
            await using var find = source.CreateCommand($"select name from {table} where id = $1");
            find.Parameters.AddWithValue(first + i);
            Assert.Equal($"single {i}", await find.ExecuteScalarAsync(Cancelled));
            if (i % 7 == 0)
            {
                await using var wrong = source.CreateCommand("select 1 / $1");
                wrong.Parameters.AddWithValue(0);
                Assert.Equal("22012", (await Assert.ThrowsAsync<PostgresException>(() => wrong.ExecuteScalarAsync(Cancelled))).SqlState);
            }
        }

        await TransactAsync(source, table, first + 40);
        await CancelAsync(source, $"worker {worker} of {table}");
        Assert.Equal(new byte[300_000], await ScalarAsync(source, "select decode(repeat('00', 300000), 'hex')"));
    }

    private async Task CancelAsync(NpgsqlDataSource source, string mark)
    {
        await using var connection = await source.OpenConnectionAsync(Cancelled);
        await using var transaction = await connection.BeginTransactionAsync(Cancelled);
        await DatabaseClient.CancelSleepAsync(connection, pooler.Postgres, mark);
        await transaction.RollbackAsync(Cancelled);
        Assert.Equal(1, await ScalarAsync(connection, "select 1"));
    }

    private static async Task CopyAsync(NpgsqlDataSource source, string table, int first)
    {
        await using var connection = await source.OpenConnectionAsync(Cancelled);
        await using (var import = await connection.BeginBinaryImportAsync($"copy {table} from stdin (format binary)", Cancelled))
        {
            for (var i = 0; i < 20; i++)
            {
                await import.StartRowAsync(Cancelled);
                await import.WriteAsync(first + i, Cancelled);
                await import.WriteAsync($"copied {i}", Cancelled);
                await import.WriteAsync(DateTime.UnixEpoch, NpgsqlDbType.TimestampTz, Cancelled);
            }

            Assert.Equal(20UL, await import.CompleteAsync(Cancelled));
        }

        // An import that is not completed is undone.
        await using (var abandoned = await connection.BeginBinaryImportAsync($"copy {table} (id) from stdin (format binary)", Cancelled))
        {
            await abandoned.WriteRowAsync(Cancelled, first + 999);
        }

        await using var export = await connection.BeginBinaryExportAsync(
            $"copy (select id, name from {table} where id between {first} and {first + 999} order by id) to stdout (format binary)", Cancelled);
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(2, await export.StartRowAsync(Cancelled));
            Assert.Equal((first + i, $"copied {i}"), (await export.ReadAsync<int>(Cancelled), await export.ReadAsync<string>(Cancelled)));
        }

        Assert.Equal(-1, await export.StartRowAsync(Cancelled));
    }

    private static async Task TransactAsync(NpgsqlDataSource source, string table, int first)
    {
        await using var connection = await source.OpenConnectionAsync(Cancelled);
        await using var transaction = await connection.BeginTransactionAsync(Cancelled);
        await using (var batch = new NpgsqlBatch(connection, transaction))
        {
            for (var i = 0; i < 20; i++)
            {
                var insert = new NpgsqlBatchCommand($"insert into {table} values ($1, $2)");
                insert.Parameters.Add(new() { Value = first + i });
                insert.Parameters.Add(new() { Value = $"batched {i}" });
                batch.BatchCommands.Add(insert);
            }

            Assert.Equal(20, await batch.ExecuteNonQueryAsync(Cancelled));
        }

        await transaction.SaveAsync("s", Cancelled);
        await ExecuteAsync(connection, $"delete from {table} where id between {first} and {first + 19}");
        var twice = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(connection, $"delete from {table} where id = {first}; insert into {table} values ({first + 998}), ({first + 998})"));
        Assert.Equal("23505", twice.SqlState);
        await transaction.RollbackAsync("s", Cancelled);
        Assert.Equal(20L, await ScalarAsync(connection, $"select count(*) from {table} where id between {first} and {first + 19}"));
        await transaction.CommitAsync(Cancelled);
    }

    private static async Task FailInTheMiddleAsync(NpgsqlConnection connection, string table, int id, bool barriers)
    {
        await using var batch = new NpgsqlBatch(connection) { EnableErrorBarriers = barriers };
        foreach (var value in new[] { id, id, id + 1 })
        {
            var insert = new NpgsqlBatchCommand($"insert into {table} values ($1)");
            insert.Parameters.Add(new() { Value = value });
            batch.BatchCommands.Add(insert);
        }

        Assert.Equal("23505", (await Assert.ThrowsAsync<PostgresException>(() => batch.ExecuteNonQueryAsync(Cancelled))).SqlState);
    }

    private static async Task<long> CountAsync(NpgsqlConnection connection, string table, int id)
    {
        await using var count = new NpgsqlCommand($"select count(*) from {table} where id in ($1, $2)", connection);
        count.Parameters.AddWithValue(id);
        count.Parameters.AddWithValue(id + 1);
        return (long)(await count.ExecuteScalarAsync(Cancelled))!;
    }

    private NpgsqlDataSource Source(string way) => NpgsqlDataSource.Create(string.Create(
        CultureInfo.InvariantCulture,
        $"Host={pooler.Address.Address};Port={pooler.Address.Port};Username={TunnelCluster.PoolerUser};Password={TunnelCluster.PoolerPassword};Database=postgres;Timeout=60;Command Timeout=120;Cancellation Timeout=60000;SSL Mode=Disable;{way}"));

    private static async Task<string> TableAsync(NpgsqlDataSource source)
    {
        var table = $"npgsql_{Guid.NewGuid():N}";
        await ExecuteAsync(source, $"create table {table} (id int primary key, name text, at timestamptz)");
        return table;
    }

    private static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Cancelled);
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancelled);
    }

    private static async Task<object?> ScalarAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        return await command.ExecuteScalarAsync(Cancelled);
    }

    private static async Task<object?> ScalarAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(Cancelled);
    }

    /// <summary>A pooler with 5 connections.</summary>
    public sealed class SharedPooler(ClusterFixture fixture) : IAsyncLifetime
    {
        private TunnelCluster _cluster = null!;

        public IPEndPoint Address { get; private set; } = null!;

        public PostgresServer Postgres => fixture.Postgres;

        public async ValueTask InitializeAsync()
        {
            _cluster = await TunnelCluster.StartAsync(new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}" });
            await _cluster.StartConnectorAsync();
            (_, Address) = await _cluster.StartPoolerAsync("db", new Dictionary<string, object> { ["Max"] = 5 });
        }

        public ValueTask DisposeAsync() => _cluster.DisposeAsync();
    }
}
