using Shared.Pooling.Postgres.Sessions;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>
/// The same messages sent to PostgreSQL and through the pooler give the same answers, although between two steps another client takes
/// the server connection that the script had.
/// </summary>
public sealed class DifferentialTests(PoolFixture fixture)
{
    private const int Int4 = 23;
    private const int Text = 25;

    public static TheoryData<Script> Scripts =>
    [
        new Script("simple query").Query("select 1, 'two', null"),
        new Script("several statements in one query").Query("select 1; select 2; select 3"),
        new Script("error in the middle of several statements").Query("create table m (i int); insert into m values (1); select 1/0; select 2").Query("select to_regclass('m')"),
        new Script("empty query").Query("").Query(";").Then(Ask.Parse("", ""), Ask.Bind("", ""), Ask.Execute(), Ask.Sync()),
        new Script("syntax error").Query("selec 1").Query("select 1"),
        new Script("extended, unnamed").Then(Ask.Parse("", "select $1::int + 1"), Ask.Bind("", "", "5"), Ask.DescribePortal(""), Ask.Execute(), Ask.Sync()),
        new Script("unnamed statement used after its Sync").Then(Ask.Parse("", "select $1::text"), Ask.DescribeStatement(""), Ask.Sync())
            .Then(Ask.Bind("", "", "a"), Ask.Execute(), Ask.Sync()).Then(Ask.Bind("", "", "b"), Ask.Execute(), Ask.Sync()),
        new Script("unnamed statement ended by a simple query").Then(Ask.Parse("", "select 1"), Ask.Sync()).Query("select 2").Then(Ask.Bind("", ""), Ask.Execute(), Ask.Sync()),
        new Script("no unnamed statement at all").Then(Ask.Bind("", ""), Ask.Execute(), Ask.Sync()),
        new Script("named statement on several connections").Then(Ask.Parse("a", "select name from items where id = $1"), Ask.DescribeStatement("a"), Ask.Sync())
            .Then(Ask.Bind("", "a", "1"), Ask.Execute(), Ask.Sync()).Then(Ask.Bind("", "a", "2"), Ask.DescribePortal(""), Ask.Execute(), Ask.Sync())
            .Then(Ask.DescribeStatement("a"), Ask.Sync()),
        new Script("same text, other parameter types").Then(Ask.Parse("a", "select $1", Int4), Ask.Parse("b", "select $1", Text), Ask.DescribeStatement("a"), Ask.DescribeStatement("b"), Ask.Sync())
            .Then(Ask.Bind("", "a", "1"), Ask.Execute(), Ask.Bind("", "b", "x"), Ask.Execute(), Ask.Sync()),
        new Script("name given twice (42P05), session lives").Then(Ask.Parse("a", "select 1"), Ask.Sync()).Then(Ask.Parse("a", "select 2"), Ask.Sync()).Then(Ask.Bind("", "a"), Ask.Execute(), Ask.Sync()),
        new Script("unknown statement (26000), session lives").Then(Ask.Bind("", "nobody"), Ask.Execute(), Ask.Sync()).Then(Ask.DescribeStatement("nobody"), Ask.Sync()).Query("select 1"),
        new Script("names that look like the pooler's own").Then(Ask.Bind("", "tunnel_1"), Ask.Execute(), Ask.Sync()).Then(Ask.Parse("tunnel_1", "select 7"), Ask.Bind("", "tunnel_1"), Ask.Execute(), Ask.Sync()).Then(Ask.Bind("", "tunnel_1"), Ask.Execute(), Ask.Sync()),
        new Script("closed statement is gone; closing nothing is no error").Then(Ask.Parse("a", "select 1"), Ask.Sync()).Then(Ask.CloseStatement("a"), Ask.CloseStatement("a"), Ask.CloseStatement("b"), Ask.ClosePortal("p"), Ask.Sync()).Then(Ask.Bind("", "a"), Ask.Sync())
            .Then(Ask.Parse("a", "select 3"), Ask.Bind("", "a"), Ask.Execute(), Ask.Sync()),
        new Script("close within a pipeline").Then(Ask.Parse("a", "select 1"), Ask.Bind("", "a"), Ask.Execute(), Ask.CloseStatement("a"), Ask.Parse("a", "select 2"), Ask.Bind("", "a"), Ask.Execute(), Ask.Sync()),
        new Script("error in a pipeline skips to Sync").Then(2, Ask.Parse("a", "select 1/0"), Ask.Bind("", "a"), Ask.Execute(), Ask.Parse("b", "select 2"), Ask.Bind("", "b"), Ask.Execute(), Ask.Sync(), Ask.Parse("c", "select 3"), Ask.Bind("", "c"), Ask.Execute(), Ask.Sync())
            .Then(Ask.Bind("", "b"), Ask.Sync()).Then(Ask.Bind("", "c"), Ask.Execute(), Ask.Sync()),
        new Script("failed Parse leaves no statement").Then(Ask.Parse("a", "selec 1"), Ask.Sync()).Then(Ask.Bind("", "a"), Ask.Sync()).Then(Ask.Parse("a", "select 1"), Ask.Bind("", "a"), Ask.Execute(), Ask.Sync()),
        new Script("failed Parse used in the same batch").Then(2, Ask.Parse("a", "selec 1"), Ask.Sync(), Ask.Bind("", "a"), Ask.Execute(), Ask.Sync()).Query("select 1"),
        new Script("skipped Close leaves the statement").Then(Ask.Parse("a", "select 1"), Ask.Sync()).Then(Ask.Parse("", "selec"), Ask.CloseStatement("a"), Ask.Sync()).Then(Ask.Bind("", "a"), Ask.Execute(), Ask.Sync()),
        new Script("skipped Parse leaves no statement").Then(Ask.Parse("", "selec"), Ask.Parse("a", "select 1"), Ask.Sync()).Then(Ask.Bind("", "a"), Ask.Execute(), Ask.Sync()),
        new Script("several Syncs in flight").Then(4, Ask.Parse("", "select 1"), Ask.Sync(), Ask.Bind("", ""), Ask.Execute(), Ask.Sync(), Ask.Sync(), Ask.Query("select 2")),
        new Script("Flush without Sync").Flushed(3, Ask.Parse("a", "select $1::int"), Ask.DescribeStatement("a")).Flushed(2, Ask.Bind("", "a", "1"), Ask.DescribePortal("")).Flushed(2, Ask.Execute()).Then(Ask.Sync()),
        new Script("portal suspended, in a transaction, over Syncs").Query("begin").Then(Ask.Parse("", "select * from items order by id"), Ask.Bind("p", ""), Ask.Execute("p", 2), Ask.Sync())
            .Then(Ask.Execute("p", 2), Ask.Sync()).Then(Ask.ClosePortal("p"), Ask.Execute("p", 2), Ask.Sync()).Query("rollback"),
        new Script("portal dies with its transaction").Then(Ask.Parse("", "select 1"), Ask.Bind("p", ""), Ask.Sync()).Then(Ask.Execute("p"), Ask.Sync()),
        new Script("named portal of a named statement").Then(Ask.Parse("s", "select $1::int"), Ask.Bind("p", "s", "3"), Ask.DescribePortal("p"), Ask.Execute("p"), Ask.ClosePortal("p"), Ask.Sync()),
        new Script("transaction over several steps").Query("begin").Query("create temp table t (i int) on commit drop").Query("insert into t values (1)").Query("select * from t").Query("commit").Query("select 1"),
        new Script("failed transaction until ROLLBACK").Query("begin").Query("select 1/0").Query("select 1").Then(Ask.Parse("a", "select 1"), Ask.Sync()).Query("commit").Query("select 1"),
        new Script("savepoints").Query("begin").Query("savepoint s").Query("select 1/0").Query("rollback to s").Query("select 1").Query("release s").Query("commit"),
        new Script("savepoints of one name").Query("begin").Query("savepoint s").Query("savepoint s").Query("set app.s = '1'").Query("savepoint s").Query("savepoint s").Query("set app.s = '2'")
            .Query("rollback to s").Query("release s").Query("release s").Query("rollback to s").Query("commit").Query("select current_setting('app.s', true) = ''"),
        new Script("savepoint with a long name").Query("set app.t = '1'").Query("begin").Query($"savepoint {new string('s', 70)}").Query("set app.t = '2'").Query($"rollback to {new string('s', 65)}").Query("commit").Query("show app.t"),
        new Script("COPY in").Query("create table if not exists c1 (i int)").Then(Ask.Query("copy c1 from stdin"), Ask.CopyData("1\n2\n"), Ask.CopyData("3\n"), Ask.CopyDone()).Query("select count(*) from c1").Query("drop table c1"),
        new Script("COPY in that the client fails").Then(Ask.Query("copy items from stdin"), Ask.CopyData("200\tx\n"), Ask.CopyFail("no more")).Query("select count(*) from items"),
        new Script("COPY in that the server fails").Then(Ask.Query("copy items from stdin"), Ask.CopyData("garbage\n"), Ask.CopyDone()).Query("select 1"),
        new Script("late copy messages are ignored").Then(Ask.Query("copy items from stdin"), Ask.CopyData("garbage\n"), Ask.CopyData("300\tx\n"), Ask.CopyDone()).Then(Ask.CopyData("x"), Ask.CopyDone(), Ask.CopyFail("x"), Ask.Query("select 1")),
        new Script("COPY in, extended, its Sync swallowed").Query("create table if not exists c2 (i int)").Flushed(3, Ask.Parse("", "copy c2 from stdin"), Ask.Bind("", ""), Ask.Execute(), Ask.Sync())
            .Then(Ask.CopyData("5\n"), Ask.CopyDone(), Ask.Sync()).Query("select * from c2").Query("drop table c2"),
        new Script("COPY in, extended, failed by the server").Flushed(3, Ask.Parse("", "copy items from stdin"), Ask.Bind("", ""), Ask.Execute(), Ask.Sync()).Then(Ask.CopyData("garbage\n"), Ask.CopyDone(), Ask.Sync()).Query("select 1"),
        new Script("COPY out").Query("copy (select * from items order by id limit 3) to stdout").Then(Ask.Parse("", "copy (select 1) to stdout"), Ask.Bind("", ""), Ask.Execute(), Ask.Sync()),
        new Script("SET follows the client").Query("set datestyle to 'German'").Query("select date '2026-11-23'").Query("show datestyle").Query("reset datestyle").Query("show datestyle"),
        new Script("SET of a list and of a custom setting").Query("set search_path to other, public").Query("show search_path").Query("select * from items").Query("set app.tenant = '42'").Query("select current_setting('app.tenant')").Query("reset all").Query("show search_path"),
        new Script("set_config").Query("select set_config('app.x', 'it''s', false)").Query("show app.x").Query("select set_config('app.x', 'local', true)").Query("show app.x"),
        new Script("SET undone by ROLLBACK").Query("set app.a = '1'").Query("begin").Query("set app.a = '2'").Query("show app.a").Query("rollback").Query("show app.a"),
        new Script("SET undone by ROLLBACK TO").Query("begin").Query("set app.b = '1'").Query("savepoint s").Query("set app.b = '2'").Query("rollback to s").Query("commit").Query("show app.b"),
        new Script("SET undone by the failure of its query").Query("set app.c = '1'").Query("set app.c = '2'; select 1/0").Query("show app.c"),
        new Script("SET undone in an implicit transaction").Query("set app.d = '1'").Then(Ask.Parse("", "set app.d = '2'"), Ask.Bind("", ""), Ask.Execute(), Ask.Parse("", "select 1/0"), Ask.Bind("", ""), Ask.Execute(), Ask.Sync()).Query("show app.d"),
        new Script("SET in the extended protocol").Then(Ask.Parse("s", "set app.e = 'x'"), Ask.Bind("", "s"), Ask.Execute(), Ask.Sync()).Query("show app.e"),
        new Script("SET LOCAL").Query("begin").Query("set local app.f = '1'").Query("show app.f").Query("commit").Query("show app.f"),
        new Script("SET LOCAL outside a transaction").Query("set local work_mem = '1MB'").Query("show work_mem"),
        new Script("SET ROLE").Query("set role reader").Query("select current_user").Query("select * from other.items").Query("reset role").Query("select current_user"),
        new Script("SET SESSION AUTHORIZATION").Query("set session authorization reader").Query("select session_user, current_user").Query("reset session authorization").Query("select session_user"),
        new Script("SET SESSION CHARACTERISTICS").Query("set session characteristics as transaction isolation level serializable, read only").Query("show transaction_isolation").Query("show transaction_read_only"),
        new Script("SET TIME ZONE and SET NAMES").Query("set time zone 'UTC'").Query("show timezone").Query("set names 'LATIN1'").Query("show client_encoding").Query("set names 'UTF8'"),
        new Script("same text under another search_path").Then(Ask.Parse("a", "select * from items where id = 1"), Ask.DescribeStatement("a"), Ask.Sync()).Query("set search_path to other")
            .Then(Ask.Parse("b", "select * from items where id = 1"), Ask.DescribeStatement("b"), Ask.Bind("", "b"), Ask.Execute(), Ask.Sync()),
        new Script("LISTEN keeps its connection").Query("listen headlines").Query("notify headlines, 'hello'").Query("unlisten *").Query("notify headlines, 'nobody'"),
        new Script("temporary table keeps its connection").Query("create temp table tt (i int)").Query("insert into tt values (1)").Query("select * from tt").Query("drop table tt"),
        new Script("WITH HOLD cursor keeps its connection").Query("begin").Query("declare c cursor with hold for select id from items order by id").Query("commit").Query("fetch 2 from c").Query("close all"),
        new Script("SQL PREPARE keeps its connection").Query("prepare q as select 1").Query("execute q").Query("deallocate q").Query("execute q"),
        new Script("advisory lock keeps its connection").Query("select pg_advisory_lock(7)").Query("select pg_advisory_unlock(7)").Query("select pg_advisory_unlock(7)").Query("select pg_advisory_unlock_all()"),
        new Script("DEALLOCATE of a protocol statement").Then(Ask.Parse("a", "select 1"), Ask.Sync()).Query("deallocate a").Then(Ask.Bind("", "a"), Ask.Sync()).Query("deallocate a"),
        new Script("DEALLOCATE ALL").Then(Ask.Parse("a", "select 1"), Ask.Sync()).Query("deallocate all").Then(Ask.Bind("", "a"), Ask.Sync()).Then(Ask.Parse("a", "select 2"), Ask.Bind("", "a"), Ask.Execute(), Ask.Sync()),
        new Script("DISCARD ALL").Query("set app.g = 'x'").Then(Ask.Parse("a", "select 1"), Ask.Sync()).Query("discard all").Query("select current_setting('app.g', true)").Then(Ask.Bind("", "a"), Ask.Sync()),
        new Script("DISCARD ALL, extended").Then(Ask.Parse("a", "select 1"), Ask.Sync()).Then(Ask.Parse("", "discard all"), Ask.Bind("", ""), Ask.Execute(), Ask.Sync()).Then(Ask.Bind("", "a"), Ask.Sync()),
        new Script("DO may change anything").Query("do $$ begin perform set_config('app.h', 'x', false); end $$").Query("select 1"),
        new Script("notices").Query("drop table if exists nothing").Query("begin").Query("begin").Query("commit").Query("commit"),
        new Script("function call").Then(Ask.Function(1610)).Query("select 1").Then(Ask.Function(99999999)),
        new Script("function that fails").Query("select fails()").Query("select 1"),
        new Script("deferred constraint fails at Sync").Query("create table if not exists d1 (i int unique deferrable initially deferred)").Then(Ask.Parse("", "insert into d1 values (1), (1)"), Ask.Bind("", ""), Ask.Execute(), Ask.Sync()).Query("drop table d1"),
        new Script("many rows").Query("select i, repeat('x', 100) from generate_series(1, 2000) i"),
        new Script("large values").Query("select length(repeat('y', 1000000)), repeat('y', 300000)"),
        new Script("transaction blocks in one query").Query("begin; select 1; commit; select 2").Query("begin; select 1").Query("rollback"),
        new Script("COMMIT AND CHAIN").Query("begin").Query("set app.i = '1'").Query("commit and chain").Query("show app.i").Query("rollback").Query("show app.i"),
    ];

    [Theory]
    [MemberData(nameof(Scripts))]
    public async Task Answers_are_those_of_PostgreSQL(Script script)
    {
        var expected = await RunDirectlyAsync(script);
        var events = new PoolEvents();
        await using var pooler = fixture.StartPooler(max: 2, events: events);
        await using var disturber = await WireClient.ConnectAsync(pooler);
        await using var client = await WireClient.ConnectAsync(pooler);

        for (var i = 0; i < script.Steps.Count; i++)
        {
            // The most recently used connection is given first, so this takes the one that the script had, unless it still has it.
            await disturber.QueryAsync("begin");
            var answers = await RunAsync(client, script.Steps[i]);
            Assert.Equal(expected[i], answers);
            await disturber.QueryAsync("rollback");
        }
    }

    [Theory]
    [MemberData(nameof(Scripts))]
    public async Task Answers_in_session_mode_are_those_of_PostgreSQL(Script script)
    {
        var expected = await RunDirectlyAsync(script);
        await using var pooler = fixture.StartPooler(max: 1, PoolMode.Session);
        await using var client = await WireClient.ConnectAsync(pooler);

        for (var i = 0; i < script.Steps.Count; i++)
        {
            Assert.Equal(expected[i], await RunAsync(client, script.Steps[i]));
        }
    }

    private async Task<List<string[]>> RunDirectlyAsync(Script script)
    {
        var answers = new List<string[]>();
        await using var direct = await WireClient.ConnectDirectlyAsync(fixture);
        foreach (var step in script.Steps)
        {
            answers.Add(await RunAsync(direct, step));
        }

        return answers;
    }

    private static async Task<string[]> RunAsync(WireClient client, (byte[][] Messages, int Ready, int Answers) step)
    {
        if (step.Ready > 0)
        {
            return await client.AskAsync(step.Ready, step.Messages);
        }

        await client.SendAsync(step.Messages);
        var left = step.Answers;
        return await client.ReadUntilAsync(_ => --left == 0);
    }
}
