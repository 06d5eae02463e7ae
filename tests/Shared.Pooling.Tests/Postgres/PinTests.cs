using Microsoft.Extensions.Time.Testing;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>Clients that keep their connection for as long as something in its session is theirs, and no longer.</summary>
public sealed class PinTests(PoolFixture fixture)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("listen news", "unlisten news")]
    [InlineData("listen news", "unlisten *")]
    [InlineData("create temp table scratch (id int)", "drop table scratch")]
    [InlineData("create temp table scratch (id int)", "discard temp")]
    [InlineData("create temp sequence counter", "drop sequence counter")]
    [InlineData("select pg_advisory_lock(42)", "select pg_advisory_unlock(42)")]
    [InlineData("select pg_advisory_lock_shared(43)", "select pg_advisory_unlock_shared(43)")]
    [InlineData("select pg_advisory_lock(42), pg_advisory_lock(44)", "select pg_advisory_unlock(42), pg_advisory_unlock(44)")]
    [InlineData("begin; declare rows cursor with hold for select 1; commit", "close rows")]
    [InlineData("prepare one as select 1", "deallocate one")]
    [InlineData("listen news; select pg_advisory_lock(45)", "unlisten news; select pg_advisory_unlock(45)")]
    [InlineData("begin; create temp table scratch (id int); commit", "begin; drop table scratch; commit")]
    public async Task Connection_is_free_again_when_the_last_of_it_is_gone(string pin, string unpin)
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler);
        await first.QueryAsync(pin);
        var waiting = second.ScalarAsync("select 'mine'");
        Assert.NotEqual(waiting, await Task.WhenAny(waiting, first.ScalarAsync("select pg_sleep(0.2)")));

        await first.QueryAsync(unpin);

        Assert.Equal("mine", await waiting.WaitAsync(Patience, Cancelled));
        Assert.Equal("1", await first.ScalarAsync("select 1"));
    }

    [Theory]
    [InlineData("select pg_advisory_lock(52), pg_advisory_lock(53)", "select pg_advisory_unlock(52)")]
    [InlineData("listen news; listen weather", "unlisten news")]
    [InlineData("create temp table scratch (id int)", "begin; drop table scratch; rollback")]
    [InlineData("create temp table scratch (id int)", "drop table if exists no_such_table")]
    [InlineData("listen news; create temp table scratch (id int)", "unlisten news")]
    public async Task Connection_stays_with_its_client_while_anything_is_left(string pin, string unpin)
    {
        var time = new FakeTimeProvider();
        await using var pooler = fixture.StartImpatientPooler(time);
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler);
        await first.QueryAsync(pin);

        await first.QueryAsync(unpin);

        Assert.Contains("53300", await time.PassUntilAsync(second.ScalarAsync("select 1")), StringComparison.Ordinal);
        Assert.Equal("1", await first.ScalarAsync("select 1"));
    }

    [Fact]
    public async Task Requests_that_follow_at_once_are_answered_in_order()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var client = await WireClient.ConnectAsync(pooler);
        for (var round = 0; round < 200; round++)
        {
            var answers = await client.AskAsync(
                4,
                Ask.Query("select pg_advisory_lock(60)"),
                Ask.Query("select pg_advisory_unlock(60)"),
                Ask.Query($"select {round}"),
                Ask.Query("select 'last'"));

            Assert.Equal([$"D {round}", "D last"], answers.Where(static line => line.StartsWith("D ", StringComparison.Ordinal)).Skip(2));
            Assert.Equal($"{round}", await client.ScalarAsync($"select {round}"));
        }
    }

    [Fact]
    public async Task Short_statement_timeout_of_the_client_ends_nothing()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var client = await WireClient.ConnectAsync(pooler);
        await client.QueryAsync("select pg_advisory_lock(61)");
        await client.QueryAsync("set statement_timeout = 1");
        for (var round = 0; round < 20; round++)
        {
            await client.QueryAsync("select pg_advisory_unlock(62)");
        }

        // It holds for this statement, too.
        while (await client.QueryAsync("set statement_timeout = 0") is not ["C SET", _])
        {
        }

        Assert.Equal("t", await client.ScalarAsync("select pg_advisory_unlock(61)"));
    }

    [Fact]
    public async Task Notification_that_arrives_meanwhile_is_delivered()
    {
        await using var pooler = fixture.StartPooler(max: 2);
        await using var listener = await WireClient.ConnectAsync(pooler);
        await using var speaker = await WireClient.ConnectAsync(pooler);
        await listener.QueryAsync("listen news; listen weather");
        for (var round = 0; round < 50; round++)
        {
            var told = speaker.QueryAsync($"notify news, '{round}'");
            await listener.SendAsync(Ask.Query("unlisten weather"));
            var lines = await listener.ReadUntilAsync(static line => line.StartsWith("A ", StringComparison.Ordinal));
            await told;
            if (!lines.Any(static line => line.StartsWith('Z')))
            {
                await listener.ReadUntilAsync(static line => line.StartsWith('Z'));
            }

            Assert.Equal($"A news {round}", lines[^1]);
        }
    }
}
