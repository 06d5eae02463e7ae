using Microsoft.Extensions.Time.Testing;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>
/// A call that leaves something in the session, wherever in a statement it stands: the next client of the connection finds nothing of it.
/// </summary>
public sealed class HiddenCallTests(PoolFixture fixture)
{
    private const string Probe = """
        select concat_ws('|', 'app.x', nullif(current_setting('app.x', true), ''),
            'locks', (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()))
        """;

    private static readonly string[] Calls = ["set_config('app.x', 'dirt', false)", "pg_advisory_lock(77)::text"];

    // Each makes the call; * stands for it. All are rolled back or dropped again, so that they can be run anew.
    private static readonly string[] Statements =
    [
        "select *",
        "select * as x, 1",
        "select 1 where * <> 'x'",
        "select case when true then * end",
        "select coalesce(null, *)",
        "select * union all select 'x'",
        "select x from (select * as x) y",
        "select 1 from items where id = 1 order by *",
        "select * into temp t; drop table t",
        "with x as (select * as y) select y from x",
        "with x as materialized (values (*)) select 1 from x, x z",
        "values (*), ('x')",
        "table items; values (*)",
        "begin; create temp table t on commit drop as select * as x; commit",
        "begin; create temp table t (x) on commit drop as values (*); commit",
        "create temp table t as select * as x; drop table t",
        "create table t as select * as x; drop table t",
        "create materialized view m as select * as x; drop materialized view m",
        "create materialized view m as select * as x with no data; refresh materialized view m; drop materialized view m",
        "explain analyze select *",
        "explain (analyze, format json) insert into items select 1000, * where false",
        "begin; explain analyze create temp table t on commit drop as select * as x; commit",
        "prepare p as select *; execute p; deallocate p",
        "prepare p as select *; select set_config('app.x', '', false); execute p; deallocate p",
        "prepare p as select *; select pg_advisory_unlock_all(); execute p; deallocate all",
        "prepare p as select *; create temp table t as execute p; discard temp; deallocate p",
        "prepare p as select *; explain analyze execute p; deallocate p",
        "begin; declare c cursor for select *; fetch c; commit",
        "begin; declare c cursor for select *; reset app.x; select pg_advisory_unlock_all(); fetch c; commit",
        "begin; declare c cursor with hold for select *; commit; fetch c; close c",
        "begin; declare c cursor for select *; move c; commit",
        "insert into items select 1000, *; delete from items where id = 1000",
        "insert into items values (1000, *); delete from items where id = 1000",
        "insert into items values (1000, 'x') returning *; delete from items where id = 1000",
        "insert into items values (1, 'x') on conflict (id) do update set name = items.name where * <> 'x'",
        "update items set name = name where id = 1 and * <> 'x'",
        "update items set name = name where id = 1 returning *",
        "delete from items where id = 1 and * = 'x'",
        "merge into items using (values (1)) v (i) on id = i and * = 'x' when matched then delete",
        "with x as (update items set name = name where id = 1 returning * as y) select y from x",
        "copy (select *) to stdout",
        "copy (values (*)) to stdout",
        "alter table items add column extra text default *; alter table items drop column extra",
        "do $$ begin perform *; end $$",
        "create or replace procedure leave() language plpgsql as $$ begin perform *; end $$; call leave()",
        "select query_to_xml($$ select * $$, true, true, '')",
        "select ts_stat($$ select to_tsvector(*) $$)",
        "select * where false; select *",
    ];

    public static TheoryData<string> All => [.. Statements];

    [Theory]
    [MemberData(nameof(All))]
    public async Task Next_client_finds_nothing(string statement)
    {
        foreach (var call in Calls)
        {
            var time = new FakeTimeProvider();
            await using var pooler = fixture.StartImpatientPooler(time);
            await using var second = await WireClient.ConnectAsync(pooler);
            var clean = await second.ScalarAsync(Probe);
            Assert.Equal("app.x|locks|0", clean);
            var sql = statement.Replace("*", call, StringComparison.Ordinal);
            await using (var first = await WireClient.ConnectAsync(pooler))
            {
                var answers = await first.QueryAsync(sql);
                Assert.DoesNotContain(answers, static line => line.StartsWith('E'));

                // Either it keeps the connection, or there is nothing to keep.
                var meanwhile = await time.PassUntilAsync(second.ScalarAsync(Probe));
                Assert.True(meanwhile == clean || meanwhile.Contains("53300", StringComparison.Ordinal), meanwhile);
                await first.SendAsync(Ask.Terminate());
                await first.ServedAsync();
            }

            Assert.Equal(clean, await second.ScalarAsync(Probe));
        }
    }

    [Theory]
    [InlineData("select set_config('app.x', 'dirt', true and false)")]
    [InlineData("select set_config('app.x', 'dirt', true = false)")]
    [InlineData("select set_config('app.x', 'dirt', true) || set_config('app.x', '', not true)")]
    public async Task Scope_that_only_looks_local_leaves_nothing(string sql)
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler);

        Assert.Equal("dirt", await first.ScalarAsync(sql));

        Assert.Equal("app.x|locks|0", await second.ScalarAsync(Probe));
    }

    /// <summary>What is believed to hold on a connection, and does not, would be another client's setting that is never made.</summary>
    [Theory]
    [InlineData("select set_config('app.x', 'mine', false) where false")]
    [InlineData("explain select set_config('app.x', 'mine', false)")]
    [InlineData("prepare p as select set_config('app.x', 'mine', false); deallocate p")]
    public async Task Setting_that_was_never_made_is_made_for_the_next_client(string sql)
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler);
        await second.QueryAsync("select set_config('app.x', 'mine', false)");
        await first.QueryAsync("select 1");

        await first.QueryAsync(sql);

        Assert.Equal("mine", await second.ScalarAsync("show app.x"));
    }

    [Fact]
    public async Task Lock_that_is_not_let_go_stays_with_its_client()
    {
        var time = new FakeTimeProvider();
        await using var pooler = fixture.StartImpatientPooler(time);
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler);
        await first.QueryAsync("select pg_advisory_lock(77)");

        await first.QueryAsync("select pg_advisory_unlock_all() where false");

        Assert.Contains("53300", await time.PassUntilAsync(second.ScalarAsync("select 1")), StringComparison.Ordinal);
        await first.QueryAsync("select pg_advisory_unlock_all()");
        Assert.Equal("1", await second.ScalarAsync("select 1"));
    }
}
