using Microsoft.Extensions.Time.Testing;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>What one client may have the pooler remember is bounded; beyond that it is told, and goes on.</summary>
public sealed class ClientLimitTests(PoolFixture fixture)
{
    private const int LongestName = 256;
    private const int Most = 10_000;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Names_have_a_longest(bool inTransaction)
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var client = await WireClient.ConnectAsync(pooler);
        var (longest, longer) = (new string('n', LongestName), new string('n', LongestName + 1));
        await client.QueryAsync(inTransaction ? "begin" : "select 1");
        Assert.Equal(["1 ", "2 ", "D 1", "C SELECT 1"], (await client.AskAsync(1, Ask.Parse(longest, "select 1"), Ask.Bind(longest, longest), Ask.Execute(longest), Ask.Sync()))[..^1]);

        var statement = await client.AskAsync(1, Ask.Parse(longer, "select 1"), Ask.Bind("", longer), Ask.Sync());
        Assert.Equal(["E ERROR 54000 the name of a statement has 257 bytes; it may have 256", inTransaction ? "Z E" : "Z I"], statement);
        await client.QueryAsync("rollback");
        await client.QueryAsync(inTransaction ? "begin" : "select 1");
        var portal = await client.AskAsync(1, Ask.Bind(longer, longest), Ask.Execute(longer), Ask.Sync());
        Assert.Equal(["E ERROR 54000 the name of a portal has 257 bytes; it may have 256", inTransaction ? "Z E" : "Z I"], portal);
        await client.QueryAsync("rollback");
        Assert.Equal("D 1", (await client.AskAsync(1, Ask.Bind("", longest), Ask.Execute(), Ask.Sync()))[1]);
        Assert.Contains("26000", (await client.AskAsync(1, Ask.DescribeStatement(longer), Ask.Sync()))[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Large_message_with_a_name_that_is_too_long_is_skipped_whole()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var client = await WireClient.ConnectAsync(pooler);
        await client.AskAsync(1, Ask.Parse("s", "select length($1::text)"), Ask.Sync());

        var answers = await client.AskAsync(1, Ask.Bind(new string('p', LongestName + 1), "s", new string('x', 1 << 20)), Ask.Sync());

        Assert.StartsWith("E ERROR 54000", answers[0], StringComparison.Ordinal);
        Assert.Equal("D 3", (await client.AskAsync(1, Ask.Bind("", "s", "abc"), Ask.Execute(), Ask.Sync()))[1]);
    }

    [Fact]
    public async Task Named_statements_are_bounded()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var client = await WireClient.ConnectAsync(pooler);
        for (var i = 0; i < Most; i += 500)
        {
            await client.AskAsync(1, [.. Enumerable.Range(i, 500).Select(static n => Ask.Parse($"s{n}", "select 1")), Ask.Sync()]);
        }

        Assert.Equal(["E ERROR 54000 a client may have 10000 prepared statements with names", "Z I"], await client.AskAsync(1, Ask.Parse("more", "select 1"), Ask.Sync()));
        Assert.Equal(["3 ", "1 ", "Z I"], await client.AskAsync(1, Ask.CloseStatement("s5"), Ask.Parse("more", "select 1"), Ask.Sync()));
        Assert.Equal("D 1", (await client.AskAsync(1, Ask.Bind("", "more"), Ask.Execute(), Ask.Sync()))[1]);
        await client.QueryAsync("deallocate all");
        Assert.Equal(["1 ", "Z I"], await client.AskAsync(1, Ask.Parse("s5", "select 1"), Ask.Sync()));
    }

    [Fact]
    public async Task Bytes_of_named_statements_are_bounded()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var client = await WireClient.ConnectAsync(pooler);
        var text = new string('x', 11 << 20);
        Assert.Equal(["1 ", "1 ", "Z I"], await client.AskAsync(1, Ask.Parse("a", $"select '{text}'"), Ask.Parse("b", $"select 1, '{text}'"), Ask.Sync()));

        var third = Ask.Parse("c", $"select 2, '{text}'");
        Assert.Equal(["E ERROR 54000 a client's prepared statements with names may have 32 MiB together", "Z I"], await client.AskAsync(1, third, Ask.Sync()));
        Assert.Equal(["3 ", "1 ", "Z I"], await client.AskAsync(1, Ask.CloseStatement("a"), third, Ask.Sync()));
    }

    [Fact]
    public async Task Portals_are_forgotten_with_their_transaction()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var client = await WireClient.ConnectAsync(pooler);
        await client.AskAsync(1, Ask.Parse("s", "set app.x = '1'"), Ask.Sync());
        for (var i = 0; i <= Most; i += 500)
        {
            var answers = await client.AskAsync(500, [.. Enumerable.Range(i, 500).SelectMany(static n => new[] { Ask.Bind($"p{n}", "s"), Ask.Execute($"p{n}"), Ask.Sync() })]);
            Assert.DoesNotContain(answers, static line => line.StartsWith('E'));
        }
    }

    [Fact]
    public async Task Portals_of_a_transaction_are_bounded()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var client = await WireClient.ConnectAsync(pooler);
        await client.AskAsync(1, Ask.Query("begin"));
        await client.AskAsync(1, Ask.Parse("s", "set app.x = '1'"), Ask.Sync());
        for (var i = 0; i < Most; i += 500)
        {
            await client.AskAsync(1, [.. Enumerable.Range(i, 500).Select(static n => Ask.Bind($"p{n}", "s")), Ask.Sync()]);
        }

        Assert.Equal(["E ERROR 54000 a transaction may have 10000 named portals", "Z E"], await client.AskAsync(1, Ask.Bind("more", "s"), Ask.Sync()));
        await client.QueryAsync("rollback");
        Assert.Equal(["2 ", "C SET", "Z I"], await client.AskAsync(1, Ask.Bind("more", "s"), Ask.Execute("more"), Ask.Sync()));
    }

    [Fact]
    public async Task Client_whose_statement_does_too_much_keeps_its_connection()
    {
        var time = new FakeTimeProvider();
        await using var pooler = fixture.StartImpatientPooler(time);
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler);

        await first.QueryAsync(string.Concat(Enumerable.Repeat("set app.x = '1';", 1001)));

        Assert.Contains("53300", await time.PassUntilAsync(second.ScalarAsync("select 1")), StringComparison.Ordinal);
        Assert.Equal("1", await first.ScalarAsync("show app.x"));
        await first.QueryAsync("discard all");
        Assert.Equal("", await second.ScalarAsync("select coalesce(current_setting('app.x', true), '')"));
    }
}
