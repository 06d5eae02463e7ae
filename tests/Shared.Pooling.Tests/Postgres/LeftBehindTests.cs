using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Postgres.Sessions;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>Ways to leave something in a session that do not show at first sight: the next client of the connection finds nothing of it.</summary>
public sealed class LeftBehindTests(PoolFixture fixture)
{
    private const string Probe = """
        select concat_ws('|', 'app.x', nullif(current_setting('app.x', true), ''), current_setting('work_mem'), current_setting('search_path'),
            'temporary', (select string_agg(relname, ',') from pg_class where relnamespace = pg_my_temp_schema()),
            (select string_agg(typname, ',') from pg_type where typnamespace = pg_my_temp_schema()),
            'locks', (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
            'cursors', (select count(*) from pg_cursors where is_holdable), 'prepared', (select count(*) from pg_prepared_statements where from_sql))
        """;

    private static readonly Dictionary<string, byte[][]> Ways = new()
    {
        ["EXPLAIN ANALYZE"] = [Ask.Query("explain analyze create temp table orders as select 1 i")],
        ["quoted pg_temp"] = [Ask.Query("create table \"pg_temp\".orders (i int)")],
        ["type in pg_temp"] = [Ask.Query("create type pg_temp.mood as enum ('ok')"), Ask.Query("drop table if exists nothing")],
        ["search_path"] = [Ask.Query("set search_path = pg_temp; create table orders (i int)")],
        ["search_path of an earlier transaction"] = [Ask.Query("set search_path = pg_temp"), Ask.Query("discard temp"), Ask.Query("create table orders (i int)")],
        ["search_path, probed meanwhile"] = [Ask.Query("set search_path = pg_temp"), Ask.Query("drop table if exists nothing"), Ask.Query("create table orders (i int)")],
        ["search_path of a transaction"] = [Ask.Query("begin; set local search_path = E'pg\\x5ftemp'; create table orders (i int); commit")],
        ["search_path by set_config"] = [Ask.Query("begin"), Ask.Query("select set_config('search_path', 'pg_' || 'temp', true)"), Ask.Query("create table orders (i int)"), Ask.Query("commit")],
        ["SELECT INTO GLOBAL TEMP"] = [Ask.Query("select 1 i into global temp orders")],
        ["column named commit"] = [Ask.Query("create temp table orders as select x.commit drop from (select 1 as commit) x")],
        ["string of several parts"] = [Ask.Query("select E'a'\n'\\'', pg_advisory_lock(77), E'b'")],
        ["pg_settings"] = [Ask.Query("update pg_settings set setting = '3333' where name = 'work_mem'")],
        ["name with escapes"] = [Ask.Query("select U&\"pg_advisory\\005flock\"(1)")],
        ["function by its number"] = [Ask.Function(2078, "app.x", "dirt", "f")],
        ["lock of a statement that fails"] = [Ask.Query("select pg_advisory_lock(78), 1 / (select 0)")],
        ["locks without number of a statement that fails"] = [Ask.Query($"select {string.Concat(Enumerable.Repeat("pg_advisory_lock(78), ", 1_001))} 1 / (select 0)")],
        ["backslash of one batch"] = [[.. Extended("set standard_conforming_strings = off", rows: 0)[..^5], .. Extended("select '\\'', set_config('app.x', 'dirt', false) --'", rows: 0)[..^5], .. Extended("set standard_conforming_strings = on", rows: 0)]],
        ["backslash of a batch behind another setting"] = [Ask.Query("set standard_conforming_strings = off"), [.. Extended("set standard_conforming_strings = on", rows: 0)[..^5], .. Extended("select '\\', set_config('app.x', 'dirt', false) --'", rows: 0)]],
        ["lock of a DO that fails"] = [Ask.Query("do $$ begin perform pg_advisory_lock(79); raise 'failed'; end $$")],
        ["lock of a statement that fails, extended"] = [[.. Extended("select pg_advisory_lock(78), 1 / (select 0)", rows: 0)]],
        ["lock of a portal that is suspended"] = [[.. Extended("select pg_advisory_lock(i) from generate_series(1, 3) i", rows: 1)]],
        ["setting of a portal that is suspended"] = [[.. Extended("select set_config('app.x', 'dirt', false)", rows: 1)]],
        ["query behind an Execute"] = [[.. Ask.Parse("", "select 1"), .. Ask.Bind("", ""), .. Ask.Execute(), .. Ask.Query("create temp table orders (i int)")]],
        ["function named begin"] = [Ask.Query("create or replace function begin() returns int language sql as 'select 1'; create temp table orders (i int)")],
        ["column named end"] = [Ask.Query("create or replace function ends() returns int begin atomic select 1 as end; end; create temp table orders (i int)")],
    };

    public static TheoryData<string> Names => [.. Ways.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Next_client_finds_nothing(string way)
    {
        var time = new FakeTimeProvider();
        await using var pooler = fixture.StartImpatientPooler(time);
        await using var second = await WireClient.ConnectAsync(pooler);
        var clean = await second.ScalarAsync(Probe);
        Assert.StartsWith("app.x|", clean, StringComparison.Ordinal);
        await using (var first = await WireClient.ConnectAsync(pooler))
        {
            foreach (var step in Ways[way])
            {
                await first.AskAsync(1, step);
            }

            // Either it keeps the connection, or there is nothing to keep.
            var meanwhile = await time.PassUntilAsync(second.ScalarAsync(Probe));
            Assert.True(meanwhile == clean || meanwhile.Contains("53300", StringComparison.Ordinal), meanwhile);
            await first.SendAsync(Ask.Terminate());
            await first.ServedAsync();
        }

        Assert.Equal(clean, await second.ScalarAsync(Probe));
    }

    [Theory]
    [InlineData("set search_path = pg_temp; create table orders (i int)", "reset search_path; drop table orders")]
    [InlineData("set search_path = pg_temp", "set search_path = public")]
    [InlineData("create type pg_temp.mood as enum ('ok')", "drop type pg_temp.mood")]
    [InlineData("create table \"pg_temp\".orders (i int)", "drop table pg_temp.orders")]
    [InlineData("select pg_advisory_lock(80), 1 / (select 0)", "select pg_advisory_unlock(80)")]
    public async Task Connection_is_free_again_when_it_is_gone(string pin, string unpin)
    {
        var time = new FakeTimeProvider();
        await using var pooler = fixture.StartImpatientPooler(time);
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler);
        await first.QueryAsync(pin);
        Assert.Contains("53300", await time.PassUntilAsync(second.ScalarAsync("select 1")), StringComparison.Ordinal);

        await first.QueryAsync(unpin);

        Assert.Equal("1", await second.ScalarAsync("select 1"));
    }

    [Fact]
    public async Task What_the_pool_refuses_is_refused_however_it_is_written()
    {
        await using var pooler = fixture.StartPooler(max: 1, options: new PostgresPoolOptions { Refuse = Pins.Temporary });
        await using var client = await WireClient.ConnectAsync(pooler);
        foreach (var sql in new[] { "set search_path = pg_temp", "create table \"pg_temp\".t (i int)", "explain analyze create temp table t as select 1" })
        {
            Assert.Contains("0A000", await client.ScalarAsync(sql), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("search_path", "pg_temp")]
    [InlineData("options", "-csearch_path=pg_temp")]
    [InlineData("options", "-c search_path=app,pg_temp")]
    public async Task What_the_pool_refuses_is_refused_at_login(string name, string value)
    {
        await using var pooler = fixture.StartPooler(max: 1, options: new PostgresPoolOptions { Refuse = Pins.Temporary });

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => WireClient.ConnectAsync(pooler, (name, value)));

        Assert.StartsWith("E FATAL 0A000 this pool refuses", refused.Message, StringComparison.Ordinal);
        await using var client = await WireClient.ConnectAsync(pooler, ("search_path", "public"));
        Assert.Equal("1", await client.ScalarAsync("select 1"));
    }

    [Fact]
    public async Task What_is_too_long_to_be_looked_into_is_refused_where_anything_is()
    {
        await using var pooler = fixture.StartPooler(max: 1, options: new PostgresPoolOptions { Refuse = Pins.Listen, MaxStatementLength = 100_000 });
        await using var client = await WireClient.ConnectAsync(pooler);
        var sql = $"listen news; select '{new string('x', 1 << 20)}'";

        Assert.Equal(["E ERROR 54000 a statement of 1048604 bytes is too long to be looked into, and this pool refuses some statements", "Z I"], await client.QueryAsync(sql));
        var parsed = await client.AskAsync(1, Ask.Parse("", sql), Ask.Bind("", ""), Ask.Execute(), Ask.Sync());
        Assert.StartsWith("E ERROR 54000", parsed[0], StringComparison.Ordinal);
        Assert.Equal("0", await client.ScalarAsync("select count(*) from pg_listening_channels()"));
    }

    private static byte[] Extended(string sql, int rows) => [.. Ask.Parse("", sql), .. Ask.Bind("", ""), .. Ask.Execute("", rows), .. Ask.Sync()];
}
