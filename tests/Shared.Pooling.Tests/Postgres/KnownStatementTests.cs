using Shared.Pooling.Postgres.Sessions;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>What the pooler takes a connection to know, the connection knows.</summary>
public sealed class KnownStatementTests(PoolFixture fixture)
{
    /// <summary>The statement is unknown there because the connection was reset, and cannot be prepared again in a failed transaction.</summary>
    [Fact]
    public async Task Statement_that_could_not_be_prepared_again_is_prepared_later()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var client = await WireClient.ConnectAsync(pooler);
        await client.AskAsync(1, Ask.Parse("s", "select 42"), Ask.Sync());
        await client.QueryAsync("do $$ begin end $$");
        await client.QueryAsync("begin");
        await client.QueryAsync("select 1 / (select 0)");
        Assert.Contains(await client.AskAsync(1, Run("s")), static line => line.Contains("25P02", StringComparison.Ordinal));
        await client.QueryAsync("rollback");

        Assert.Contains("D 42", await client.AskAsync(1, Run("s")));
        await using var other = await WireClient.ConnectAsync(pooler);
        Assert.Contains("D 42", await other.AskAsync(1, [.. Ask.Parse("t", "select 42"), .. Run("t")]));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Unnamed_statement_that_is_too_long_to_be_looked_into_is_the_one_that_is_bound(bool hasAnother)
    {
        await using var pooler = fixture.StartPooler(max: 1, options: new PostgresPoolOptions { MaxStatementLength = 100_000 });
        await using var client = await WireClient.ConnectAsync(pooler);
        await using var other = await WireClient.ConnectAsync(pooler);
        if (hasAnother)
        {
            await client.AskAsync(1, [.. Ask.Parse("", "select 'another'"), .. Run("")]);
        }

        await other.AskAsync(1, [.. Ask.Parse("", "select 'of another client'"), .. Run("")]);

        Assert.Contains("D 1000000", await client.AskAsync(1, [.. Ask.Parse("", $"select length('{new string('x', 1_000_000)}')"), .. Run("")]));
    }

    private static byte[] Run(string statement) => [.. Ask.Bind("", statement), .. Ask.Execute(), .. Ask.Sync()];
}
