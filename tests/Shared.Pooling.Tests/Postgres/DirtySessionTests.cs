using System.Globalization;
using Shared.Pooling.Postgres;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>Whatever a client leaves behind, in whatever phase it disconnects, the next client sees none of it.</summary>
public sealed class DirtySessionTests(PoolFixture fixture)
{
    /// <summary>TUNNEL_TEST_SCHEDULES says how many; a long run has 100,000.</summary>
    private static readonly int Schedules =
        int.Parse(Environment.GetEnvironmentVariable("TUNNEL_TEST_SCHEDULES") ?? "4000", CultureInfo.InvariantCulture);

    private const string Probe = """
        select concat_ws('|', nullif(current_setting('app.x', true), ''), current_setting('work_mem'), current_setting('datestyle'),
            current_setting('search_path'), current_user, session_user, current_setting('default_transaction_read_only'),
            (select count(*) from pg_class where relnamespace = pg_my_temp_schema()), (select count(*) from pg_listening_channels()),
            (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
            (select count(*) from pg_prepared_statements where from_sql), (select count(*) from pg_cursors where name <> ''))
        """;

    private static readonly Func<byte[][]>[] Actions =
    [
        static () => [Ask.Query("begin")],
        static () => [Ask.Query("begin; set local work_mem = '2MB'")],
        static () => [Ask.Query("commit")],
        static () => [Ask.Query("rollback")],
        static () => [Ask.Query("set app.x = 'dirt'")],
        static () => [Ask.Query("set search_path to other; set datestyle to 'German'")],
        static () => [Ask.Query("select set_config('work_mem', '3MB', false)")],
        static () => [Ask.Query("set role reader")],
        static () => [Ask.Query("set session authorization reader")],
        static () => [Ask.Query("set session characteristics as transaction read only")],
        static () => [Ask.Query("do $$ begin perform set_config('app.x', 'hidden', false); end $$")],
        static () => [Ask.Query("create temp table dirt (i int)")],
        static () => [Ask.Query("listen dirt")],
        static () => [Ask.Query("unlisten *")],
        static () => [Ask.Query("select pg_advisory_lock(random_int.i) from (select (random() * 1000000)::int i) random_int")],
        static () => [Ask.Query("declare c cursor with hold for select 1")],
        static () => [Ask.Query("prepare q as select 1")],
        static () => [Ask.Query("deallocate all")],
        static () => [Ask.Query("discard all")],
        static () => [Ask.Query("reset all")],
        static () => [Ask.Query("select 1/0")],
        static () => [Ask.Query("selec")],
        static () => [Ask.Query("savepoint s")],
        static () => [Ask.Query("rollback to s")],
        static () => [Ask.Query("select * from items")],
        static () => [Ask.Parse("a", "select $1::int"), Ask.Sync()],
        static () => [Ask.Parse("a", "select $1::int"), Ask.Bind("", "a", "1"), Ask.Execute(), Ask.Sync()],
        static () => [Ask.Parse("", "select 'unnamed dirt'"), Ask.Sync()],
        static () => [Ask.Parse("", "set app.x = 'extended dirt'"), Ask.Bind("", ""), Ask.Execute(), Ask.Sync()],
        static () => [Ask.Bind("", "nobody"), Ask.Sync()],
        static () => [Ask.CloseStatement("a"), Ask.Sync()],
    ];

    // They leave the conversation open, so nothing can come after them.
    private static readonly Func<byte[][]>[] Departures =
    [
        static () => [Ask.Terminate()],
        static () => [],
        static () => [Ask.Query("select pg_sleep(0.01)")],
        static () => [Ask.Query("select * from generate_series(1, 5000)")],
        static () => [Ask.Parse("b", "select 1"), Ask.Flush()],
        static () => [Ask.Parse("", "set app.x = 'no sync'"), Ask.Bind("", ""), Ask.Execute()],
        static () => [Ask.Parse("b", "select 1"), Ask.Bind("p", "b")],
        static () => [Ask.Query("copy items from stdin")],
        static () => [Ask.Query("copy items from stdin"), Ask.CopyData("900\tdirt\n")],
        static () => [Ask.Query("copy items to stdout")],
        static () => [[(byte)'Q', 0, 0, 0, 200, (byte)'s']],
        static () => [[(byte)'B', 0, 0, 1, 0, 0, 0]],
        static () => [Ask.Query("begin"), Ask.Query("set app.x = 'pipeline'"), Ask.Query("listen dirt")],
        static () => [Ask.Query("select 1"), Ask.Terminate()],
        static () => [[0xff, 1, 2, 3, 4]],
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task Next_client_sees_nothing(int connections)
    {
        var random = new Random(20261123 + connections);
        await using var pooler = fixture.StartPooler(connections);
        var clean = await ProbeAsync(pooler);

        for (var schedule = 0; schedule < Schedules; schedule++)
        {
            var seed = random.Next();
            await LeaveDirtAsync(pooler, new Random(seed));
            var seen = await ProbeAsync(pooler);
            Assert.True(seen == clean, $"after schedule {schedule} (seed {seed}) the next client sees {seen} instead of {clean}");
        }

        Assert.Equal("100", await fixture.ScalarAsync("select count(*) from items"));
    }

    private static async Task LeaveDirtAsync(PostgresPooler pooler, Random random)
    {
        var settings = random.Next(4) == 0 ? [("search_path", "other"), ("options", "-c app.x=startup")] : Array.Empty<(string, string)>();
        await using var client = await WireClient.ConnectTrustedAsync(pooler, settings);
        for (var actions = random.Next(6); actions > 0; actions--)
        {
            await client.AskAsync(1, Actions[random.Next(Actions.Length)]());
        }

        var departure = Departures[random.Next(Departures.Length)]();
        if (departure.Length > 0)
        {
            await client.SendAsync(departure);
        }

        if (random.Next(2) == 0)
        {
            client.Abort();
        }
    }

    private static async Task<string> ProbeAsync(PostgresPooler pooler)
    {
        await using var client = await WireClient.ConnectTrustedAsync(pooler);
        var unnamed = await client.AskAsync(1, Ask.Bind("", ""), Ask.Execute(), Ask.Sync());
        return $"{await client.ScalarAsync(Probe)} {string.Join(',', unnamed)}";
    }
}
