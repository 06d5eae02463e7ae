using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Postgres.Sessions;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>Settings and savepoints beyond what is kept account of: the client keeps its connection, and cannot tell; nobody else sees any of it.</summary>
public sealed class SettingLimitTests(PoolFixture fixture)
{
    private const int MostSettings = 1000;
    private const int MostSavepoints = 10_000;

    [Theory]
    [InlineData(MostSettings, 1, false)]
    [InlineData(MostSettings + 1, 1, true)]
    [InlineData(2, 400_000, false)]
    [InlineData(3, 400_000, true)]
    public async Task Client_with_too_many_settings_keeps_its_connection(int count, int length, bool keeps)
    {
        var time = new FakeTimeProvider();
        await using var pooler = fixture.StartImpatientPooler(time);
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler);
        await SetAsync(first, count, length);

        var asking = second.ScalarAsync("select 1");
        Assert.Equal(keeps, (keeps ? await time.PassUntilAsync(asking) : await asking).Contains("53300", StringComparison.Ordinal));
        Assert.Equal($"{length}", await first.ScalarAsync($"select length(current_setting('app.x{count}'))"));
        await first.QueryAsync("begin");
        await first.QueryAsync("set app.x1 = 'other'");
        await first.QueryAsync("rollback");
        Assert.Equal($"{length}", await first.ScalarAsync("select length(current_setting('app.x1'))"));
        await first.QueryAsync("discard all");
        Assert.Equal("", await second.ScalarAsync($"select coalesce(current_setting('app.x{count}', true), '')"));
    }

    [Fact]
    public async Task Client_with_too_many_savepoints_keeps_its_connection()
    {
        var time = new FakeTimeProvider();
        await using var pooler = fixture.StartImpatientPooler(time);
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler);
        await first.QueryAsync("begin; set app.x = 'before'");
        await SaveAsync(first, MostSavepoints + 1, static i => $"s{i}");
        await first.QueryAsync("set app.x = 'behind'");

        await first.QueryAsync("rollback to s10000; commit");

        Assert.Equal("before", await first.ScalarAsync("show app.x"));
        Assert.Contains("53300", await time.PassUntilAsync(second.ScalarAsync("select 1")), StringComparison.Ordinal);
        await first.QueryAsync("discard all");
        Assert.Equal("", await second.ScalarAsync("select coalesce(current_setting('app.x', true), '')"));
    }

    /// <summary>As a driver does it that saves before each statement.</summary>
    [Fact]
    public async Task One_name_for_very_many_savepoints_is_fine()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler);
        await first.QueryAsync("begin; set app.x = 'before'");
        await SaveAsync(first, MostSavepoints + 500, static _ => "s");

        await first.QueryAsync("set app.x = 'behind'; rollback to s; release s; rollback to s; commit");

        Assert.Equal("1", await second.ScalarAsync("select 1"));
        Assert.Equal("before", await first.ScalarAsync("show app.x"));
    }

    [Fact]
    public async Task Client_of_a_pool_that_refuses_some_is_told_and_ended()
    {
        await using var pooler = fixture.StartPooler(max: 1, options: new PostgresPoolOptions { Refuse = Pins.Listen });
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler);
        await SetAsync(first, 2, 400_000);

        var answers = await first.AskUntilClosedAsync(Ask.Query($"set app.x3 = '{new string('x', 400_000)}'"));

        Assert.Contains(answers, static line => line.StartsWith("E FATAL 54000", StringComparison.Ordinal));
        Assert.Equal("", await second.ScalarAsync("select coalesce(current_setting('app.x1', true), '')"));
    }

    [Fact]
    public async Task Bytes_of_what_portals_do_are_bounded()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var client = await WireClient.ConnectAsync(pooler);
        await client.QueryAsync("begin");
        var parse = Ask.Parse("", $"set app.x = '{new string('x', 3 << 20)}'");
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(["1 ", "2 ", "Z T"], await client.AskAsync(1, parse, Ask.Bind($"p{i}", ""), Ask.Sync()));
        }

        var answers = await client.AskAsync(1, parse, Ask.ClosePortal("p0"), Ask.Bind("p5", ""), Ask.Bind("p6", ""), Ask.Sync());

        Assert.Equal(["1 ", "3 ", "2 ", "E ERROR 54000 what named portals change in the session may have 32 MiB together", "Z E"], answers);
        await client.QueryAsync("rollback");
        Assert.Equal("1", await client.ScalarAsync("select 1"));
    }

    private static async Task SetAsync(WireClient client, int count, int length)
    {
        var value = new string('x', length);
        for (var i = 1; i <= count; i += 500)
        {
            var sets = Enumerable.Range(i, Math.Min(500, count - i + 1)).Select(n => $"set app.x{n} = '{value}'");
            Assert.DoesNotContain(await client.QueryAsync(string.Join(';', sets)), static line => line.StartsWith('E'));
        }
    }

    private static async Task SaveAsync(WireClient client, int count, Func<int, string> name)
    {
        for (var i = 0; i < count; i += 500)
        {
            var saves = Enumerable.Range(i, Math.Min(500, count - i)).Select(n => $"savepoint {name(n)}");
            Assert.DoesNotContain(await client.QueryAsync(string.Join(';', saves)), static line => line.StartsWith('E'));
        }
    }
}
