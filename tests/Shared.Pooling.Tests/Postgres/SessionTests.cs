using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Sessions;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>What clients of a pool can rely on besides the answers themselves.</summary>
public sealed class SessionTests(PoolFixture fixture)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Many_clients_share_few_connections()
    {
        var events = new PoolEvents();
        await using var pooler = fixture.StartPooler(max: 3, events: events);

        await Task.WhenAll(Enumerable.Range(0, 40).Select(async number =>
        {
            await using var client = await WireClient.ConnectTrustedAsync(pooler, ("app.number", number.ToString(CultureInfo.InvariantCulture)));
            for (var round = 0; round < 50; round++)
            {
                Assert.Equal($"{number}", await client.ScalarAsync("show app.number"));
                var answers = await client.AskAsync(1, Ask.Parse("", "select $1::int + 1"), Ask.Bind("", "", $"{round}"), Ask.Execute(), Ask.Sync());
                Assert.Contains($"D {round + 1}", answers);
            }
        }));

        Assert.Equal(3, events.Opened);
        Assert.Empty(events.Closed);
    }

    [Fact]
    public async Task Prepared_statements_of_many_clients_are_the_clients_own()
    {
        await using var pooler = fixture.StartPooler(max: 2, options: new PostgresPoolOptions { PreparedStatements = 3 });

        await Task.WhenAll(Enumerable.Range(0, 20).Select(async number =>
        {
            await using var client = await WireClient.ConnectTrustedAsync(pooler);
            for (var name = 0; name < 5; name++)
            {
                await client.AskAsync(1, Ask.Parse($"s{name}", $"select {(number % 4 * 10) + name}"), Ask.Sync());
            }

            for (var round = 0; round < 60; round++)
            {
                var answers = await client.AskAsync(1, Ask.Bind("", $"s{round % 5}"), Ask.Execute(), Ask.Sync());
                Assert.Equal(["2 ", $"D {(number % 4 * 10) + (round % 5)}", "C SELECT 1", "Z I"], answers);
            }
        }));
    }

    [Fact]
    public async Task Wrong_password_unknown_user_and_unknown_database_are_refused()
    {
        await using var pooler = fixture.StartPooler(max: 1);

        Assert.Equal("E FATAL 28P01 password authentication failed for user \"app\"", await RefusalAsync(pooler, "app", "wrong", "postgres"));
        Assert.Equal("E FATAL 28P01 password authentication failed for user \"nobody\"", await RefusalAsync(pooler, "nobody", PoolFixture.Password, "postgres"));
        Assert.Equal("E FATAL 28P01 password authentication failed for user \"nobody\"", await RefusalAsync(pooler, "nobody", "wrong", "nowhere"));
        Assert.Equal("E FATAL 3D000 no pool is configured for database \"nowhere\"", await RefusalAsync(pooler, "app", PoolFixture.Password, "nowhere"));
    }

    [Fact]
    public async Task Startup_setting_that_the_server_refuses_is_refused()
    {
        await using var pooler = fixture.StartPooler(max: 1);

        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => WireClient.ConnectAsync(pooler, ("work_mem", "lots")));

        Assert.Contains("22023 invalid value for parameter \"work_mem\"", exception.Message, StringComparison.Ordinal);
        await using var client = await WireClient.ConnectAsync(pooler, ("work_mem", "5MB"), ("options", "-c app.y=a\\ b --app.z=1"));
        Assert.Equal("5MB", await client.ScalarAsync("show work_mem"));
        Assert.Equal("a b", await client.ScalarAsync("show app.y"));
        Assert.Equal("1", await client.ScalarAsync("show app.z"));
    }

    [Fact]
    public async Task Reported_parameters_are_those_of_the_clients_settings()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var direct = await WireClient.ConnectDirectlyAsync(fixture, ("timezone", "utc"), ("datestyle", "german"), ("application_name", "me"));
        await using var first = await WireClient.ConnectTrustedAsync(pooler, ("timezone", "utc"), ("datestyle", "german"), ("application_name", "me"));
        await using var second = await WireClient.ConnectTrustedAsync(pooler, ("timezone", "utc"), ("datestyle", "german"), ("application_name", "me"));

        Assert.Equal(direct.Parameters, first.Parameters);
        Assert.Equal(direct.Parameters, second.Parameters);
    }

    [Fact]
    public async Task Cancel_hits_the_query_of_its_client_only()
    {
        await using var pooler = fixture.StartPooler(max: 4);
        await using var sleeper = await WireClient.ConnectTrustedAsync(pooler);
        await using var other = await WireClient.ConnectTrustedAsync(pooler);
        await sleeper.SendAsync(Ask.Query("select pg_sleep(600), 'to be canceled'"));
        await other.SendAsync(Ask.Query("select pg_sleep(1), 'undisturbed'"));

        await RunsAsync("select pg_sleep(600), 'to be canceled'");
        await WireClient.CancelAsync(pooler, sleeper.ProcessId, [1, 2, 3, 4]);
        await RunsAsync("select pg_sleep(600), 'to be canceled'");
        await WireClient.CancelAsync(pooler, sleeper.ProcessId, sleeper.CancelKey);

        Assert.Equal(["E ERROR 57014 canceling statement due to user request", "Z I"], (await sleeper.ReadUntilAsync(static line => line[0] == 'Z'))[^2..]);
        Assert.Contains("D ,undisturbed", await other.ReadUntilAsync(static line => line[0] == 'Z'));
        Assert.Equal("1", await sleeper.ScalarAsync("select 1"));
    }

    [Fact]
    public async Task Cancels_never_hit_the_next_client_of_a_connection()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var canceled = await WireClient.ConnectTrustedAsync(pooler);
        await using var innocent = await WireClient.ConnectTrustedAsync(pooler);

        for (var round = 0; round < 200; round++)
        {
            await canceled.SendAsync(Ask.Query("select 1"));
            var cancel = WireClient.CancelAsync(pooler, canceled.ProcessId, canceled.CancelKey);
            await canceled.ReadUntilAsync(static line => line[0] == 'Z');
            Assert.Equal(["T ?column?:23", "D 2", "C SELECT 1", "Z I"], await innocent.QueryAsync("select 2"));
            await cancel;
        }
    }

    [Fact]
    public async Task Client_that_waits_for_a_connection_is_canceled_here()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var holder = await WireClient.ConnectTrustedAsync(pooler);
        await using var waiter = await WireClient.ConnectTrustedAsync(pooler);
        await holder.QueryAsync("begin");
        await waiter.SendAsync(Ask.Query("select 1"));
        var answer = waiter.ReadUntilAsync(static line => line[0] == 'Z');

        // A request that comes before it waits is in vain, as at PostgreSQL.
        while (!answer.IsCompleted)
        {
            await WireClient.CancelAsync(pooler, waiter.ProcessId, waiter.CancelKey);
            await Task.WhenAny(answer, Task.Delay(20, Cancelled));
        }

        Assert.Equal(["E ERROR 57014 canceling statement due to user request", "Z I"], await answer);
        await holder.QueryAsync("rollback");
        Assert.Equal("1", await waiter.ScalarAsync("select 1"));
    }

    [Fact]
    public async Task Who_waits_too_long_for_a_connection_is_told_and_stays()
    {
        var time = new FakeTimeProvider();
        await using var pooler = fixture.StartImpatientPooler(time);
        await using var holder = await WireClient.ConnectTrustedAsync(pooler);
        await using var waiter = await WireClient.ConnectTrustedAsync(pooler);
        await holder.QueryAsync("begin");

        var simple = await time.PassUntilAsync(waiter.QueryAsync("select 1"));
        var extended = await time.PassUntilAsync(waiter.AskAsync(1, Ask.Parse("w", "select 5"), Ask.Bind("", "w"), Ask.Execute(), Ask.Sync()));

        Assert.Equal(2, simple.Length);
        Assert.StartsWith("E ERROR 53300 no connection to the database became free", simple[0], StringComparison.Ordinal);
        Assert.Equal([simple[0], "Z I"], extended);
        await holder.QueryAsync("rollback");
        Assert.Equal("1", await waiter.ScalarAsync("select 1"));
    }

    [Theory]
    [InlineData("false")]
    [InlineData("database")]
    public async Task Clients_beyond_the_limit_are_refused_until_one_leaves(string replication)
    {
        var definition = new PoolDefinition(fixture.Origin, new PostgresPoolOptions { Mode = PoolMode.Session });
        await using var pooler = new PostgresPooler(PoolFixture.Configuration(definition) with { MaxClients = 2 }, new PoolEvents(), TimeProvider.System);
        await using var first = await WireClient.ConnectTrustedAsync(pooler);
        await using (await WireClient.ConnectTrustedAsync(pooler, ("replication", replication)))
        {
            Assert.Equal("E FATAL 53300 sorry, too many clients already; the pooler's MaxClients is 2", await RefusalAsync(pooler, "app", PoolFixture.Password, "postgres"));
            await using var console = await WireClient.ConnectAsAsync(pooler, "app", PoolFixture.Password, "pooler");
            Assert.Equal("1", await first.ScalarAsync("select 1"));
        }

        await using var next = await WireClient.ConnectAsync(pooler);
        pooler.Apply(PoolFixture.Configuration(definition) with { MaxClients = 3 });
        await using var third = await WireClient.ConnectAsync(pooler);
    }

    [Fact]
    public async Task Statement_whose_result_has_changed_is_prepared_anew()
    {
        const string Sql = "select * from reshaped";
        await using var pooler = fixture.StartPooler(max: 1);
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler);
        await second.QueryAsync("create table reshaped (a int); insert into reshaped values (1)");
        await first.AskAsync(1, Ask.Parse("s", Sql), Ask.Bind("", "s"), Ask.Execute(), Ask.Sync());
        await second.QueryAsync("alter table reshaped add b int default 2");

        var told = await first.AskAsync(1, Ask.Bind("", "s"), Ask.Execute(), Ask.Sync());
        var again = await first.AskAsync(1, Ask.Bind("", "s"), Ask.Execute(), Ask.Sync());
        var other = await second.AskAsync(1, Ask.Parse("t", Sql), Ask.Bind("", "t"), Ask.Execute(), Ask.Sync());
        await second.QueryAsync("drop table reshaped");

        Assert.Equal(["E ERROR 0A000 cached plan must not change result type", "Z I"], told);
        Assert.Contains("D 1,2", again);
        Assert.Contains("D 1,2", other);
    }

    [Fact]
    public async Task Lost_server_connection_ends_its_client_and_nobody_else()
    {
        await using var pooler = fixture.StartPooler(max: 2);
        await using var victim = await WireClient.ConnectTrustedAsync(pooler);
        await using var other = await WireClient.ConnectTrustedAsync(pooler);
        await victim.QueryAsync("begin");
        var process = await victim.ScalarAsync("select pg_backend_pid()");

        await fixture.ScalarAsync($"select pg_terminate_backend({process})");

        Assert.Equal("E FATAL 57P01 terminating connection due to administrator command", await victim.ReadAsync());
        Assert.Equal("closed", await victim.ReadAsync());
        Assert.Equal("1", await other.ScalarAsync("select 1"));
    }

    [Fact]
    public async Task Idle_server_connection_that_is_lost_is_noticed_by_nobody()
    {
        var events = new PoolEvents();
        await using var pooler = fixture.StartPooler(max: 1, events: events);
        await using var client = await WireClient.ConnectTrustedAsync(pooler);
        var process = await client.ScalarAsync("select pg_backend_pid()");
        await fixture.ScalarAsync($"select pg_terminate_backend({process})");
        await WaitUntilAsync(() => Task.FromResult(!events.Closed.IsEmpty));

        var other = await client.ScalarAsync("select pg_backend_pid()");

        Assert.NotEqual(process, other);
        Assert.True(int.TryParse(other, CultureInfo.InvariantCulture, out _), other);
    }

    [Fact]
    public async Task Timeouts_have_the_codes_of_PostgreSQL()
    {
        var time = new FakeTimeProvider();
        var options = new PostgresPoolOptions
        {
            QueryTimeout = TimeSpan.FromSeconds(1),
            IdleTimeout = TimeSpan.FromSeconds(2),
            IdleInTransactionTimeout = TimeSpan.FromSeconds(1),
            CancelTimeout = TimeSpan.FromHours(1),
        };
        await using var pooler = fixture.StartPooler(max: 3, options: options, time: time);
        await using var slow = await WireClient.ConnectTrustedAsync(pooler);
        await using var idle = await WireClient.ConnectTrustedAsync(pooler);
        await using var inTransaction = await WireClient.ConnectTrustedAsync(pooler);
        await inTransaction.QueryAsync("begin");
        await slow.SendAsync(Ask.Query("select pg_sleep(600), 'too slow'"));
        await RunsAsync("select pg_sleep(600), 'too slow'");

        Assert.StartsWith("E ERROR 57014", (await time.PassUntilAsync(slow.ReadUntilAsync(static line => line[0] == 'Z')))[^2], StringComparison.Ordinal);
        Assert.Equal("E FATAL 25P03 terminating connection due to idle-in-transaction timeout", await time.PassUntilAsync(inTransaction.ReadAsync()));
        Assert.Equal("E FATAL 57P05 terminating connection due to idle-session timeout", await time.PassUntilAsync(idle.ReadAsync()));
    }

    [Fact]
    public async Task Client_that_does_not_read_loses_its_connection_and_a_slow_one_does_not()
    {
        const string Much = "select repeat('x', 8000) from generate_series(1, 10000)";
        var (events, time) = (new PoolEvents(), new FakeTimeProvider());
        await using var pooler = fixture.StartPooler(
            max: 2, events: events, options: new PostgresPoolOptions { StallTimeout = TimeSpan.FromSeconds(2) }, waitTimeout: TimeSpan.FromHours(1), time: time);
        await using var slow = await WireClient.ConnectTrustedAsync(pooler);
        await using var stopped = await WireClient.ConnectTrustedAsync(pooler);
        await using var third = await WireClient.ConnectTrustedAsync(pooler);
        await slow.SendAsync(Ask.Query(Much));
        await stopped.SendAsync(Ask.Query(Much));
        await WaitUntilAsync(() => Task.FromResult(pooler.Status.Single().ServersActive == 2));

        // Both connections are taken; the one of the client that has stopped comes free.
        var asking = third.ScalarAsync("select 1");
        for (var read = 0; read < 400; read++)
        {
            // More than is ever on its way to it, before the next half of a second is over.
            await slow.ReadAsync();
            if (read % 20 == 19)
            {
                time.Advance(TimeSpan.FromMilliseconds(500));
                await Task.Delay(20, Cancelled);
            }
        }

        Assert.Equal("Z I", (await slow.ReadUntilAsync(static line => line[0] is 'Z' or 'E' or 'a'))[^1]);
        Assert.Equal("1", await time.PassUntilAsync(asking));
        await time.PassUntilAsync(stopped.ServedAsync());
        Assert.Contains("does not read its answers", Assert.Single(events.Ended), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Statement_mode_refuses_transaction_blocks()
    {
        await using var pooler = fixture.StartPooler(max: 1, PoolMode.Statement);
        await using var client = await WireClient.ConnectTrustedAsync(pooler);

        Assert.Equal(["E ERROR 0A000 transaction blocks are not allowed in statement pooling mode", "Z I"], await client.QueryAsync("begin"));
        Assert.Equal("1", await client.ScalarAsync("select 1"));
    }

    [Fact]
    public async Task What_the_pool_refuses_fails_like_any_mistake()
    {
        await using var pooler = fixture.StartPooler(max: 1, options: new PostgresPoolOptions { Refuse = Pins.Listen | Pins.Temporary });
        await using var client = await WireClient.ConnectTrustedAsync(pooler);

        Assert.StartsWith("E ERROR 0A000 this pool refuses", (await client.QueryAsync("listen x"))[0], StringComparison.Ordinal);
        await client.QueryAsync("begin");
        var answers = await client.AskAsync(1, Ask.Parse("", "create temp table x (i int)"), Ask.Bind("", ""), Ask.Execute(), Ask.Sync());
        Assert.StartsWith("E ERROR 0A000 this pool refuses", answers[0], StringComparison.Ordinal);
        Assert.Equal("Z E", answers[^1]);
        await client.QueryAsync("rollback");
        Assert.Contains("C CREATE TABLE", await client.QueryAsync("begin; create temp table x (i int) on commit drop; commit"));
    }

    [Fact]
    public async Task Client_that_does_not_read_holds_up_nobody_else()
    {
        await using var pooler = fixture.StartPooler(max: 2);
        await using var stuck = await WireClient.ConnectTrustedAsync(pooler);
        await using var other = await WireClient.ConnectTrustedAsync(pooler);
        await stuck.SendAsync(Ask.Query("select repeat('x', 1000) from generate_series(1, 100000)"));

        for (var i = 0; i < 100; i++)
        {
            Assert.Equal("1", await other.ScalarAsync("select 1"));
        }

        var rows = (await stuck.ReadUntilAsync(static line => line[0] == 'Z')).Count(static line => line[0] == 'D');
        Assert.Equal(100_000, rows);
    }

    [Fact]
    public async Task Origin_that_is_away_is_named_and_healed()
    {
        await using var pooler = fixture.StartPooler(max: 1, origin: fixture.Origin with { Database = "comes_later" });

        var before = await Assert.ThrowsAsync<InvalidOperationException>(() => WireClient.ConnectTrustedAsync(pooler));
        Assert.Contains("FATAL 3D000 the database server has no database \"comes_later\"", before.Message, StringComparison.Ordinal);
        await fixture.ScalarAsync("create database comes_later");

        var watch = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                await using var client = await WireClient.ConnectTrustedAsync(pooler);
                Assert.Equal("comes_later", await client.ScalarAsync("select current_database()"));
                return;
            }
            catch (InvalidOperationException) when (watch.Elapsed < Patience)
            {
                await Task.Delay(100, Cancelled);
            }
        }
    }

    private static async Task<string> RefusalAsync(PostgresPooler pooler, string user, string password, string database)
    {
        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => WireClient.ConnectAsAsync(pooler, user, password, database));
        return exception.Message;
    }

    /// <summary>Waits until a query runs that nobody else asks.</summary>
    private Task RunsAsync(string query) => WaitUntilAsync(async () =>
        await fixture.ScalarAsync($"select count(*) from pg_stat_activity where state = 'active' and query = $${query}$$") == "1");

    private static async Task WaitUntilAsync(Func<Task<bool>> condition)
    {
        var watch = Stopwatch.StartNew();
        while (!await condition())
        {
            Assert.True(watch.Elapsed < Patience, "it never came");
            await Task.Delay(50, Cancelled);
        }
    }
}
