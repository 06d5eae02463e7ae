using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Tests.Postgres;
using Shared.Streams;

namespace Shared.Pooling.Tests.Hostile;

/// <summary>
/// Bad messages of a client that is logged in, in every state: it gets the answers that PostgreSQL itself gives, or is told FATAL and
/// disconnected where that is safer; nobody else notices, and no connection is lost.
/// </summary>
public sealed class BadRequestTests(PoolFixture fixture)
{
    /// <summary>
    /// Differences on purpose: these cannot be said to a server in its own terms, so the client is disconnected (FATAL 08P01) where
    /// PostgreSQL says ERROR and goes on. No driver sends any of them.
    /// </summary>
    private static readonly HashSet<string> EndedHere =
    [
        "server's c", "server's row", "server's parameter", "query without content", "query without end", "parse without content", "parse without end of its name",
        "parse without end of its text", "bind without content", "bind without end of its portal", "bind without end of its statement",
        "describe without content", "describe of something else", "describe without end", "describe with more behind", "close without content",
        "close of something else", "close without end", "close with more behind", "execute without content", "execute without end of its portal",
        "sync with content", "flush with content", "terminate with content", "copy done with content",
    ];

    /// <summary>What the client has done before.</summary>
    public static TheoryData<string> States => ["idle", "in a transaction", "in a failed transaction", "in a pipeline", "in a skipped pipeline", "in COPY", "in extended COPY"];

    [Theory]
    [MemberData(nameof(States))]
    public async Task Bad_message_is_answered_as_PostgreSQL_does_or_ends_its_client_only(string state)
    {
        await fixture.ScalarAsync("create table if not exists sink (line text)");
        var events = new PoolEvents();
        await using var pooler = fixture.StartPooler(max: 2, events: events);
        await using var bystander = await Bystander.ConnectAsync(pooler);
        var differences = new List<string>();
        (string Name, byte[] Bytes, bool Whole)[] cases =
        [
            .. BadMessages.Whole().Select(static bad => (bad.Name, bad.Bytes, true)), .. BadMessages.Truncated().Select(static bad => (bad.Name, bad.Bytes, false)),
        ];
        foreach (var (name, bytes, whole) in cases)
        {
            string[] expected, actual;
            await using (var direct = await WireClient.ConnectDirectlyAsync(fixture))
            {
                expected = await RunAsync(direct, state, bytes, whole);
            }

            await using (var client = await WireClient.ConnectTrustedAsync(pooler))
            {
                actual = await RunAsync(client, state, bytes, whole);
            }

            await bystander.WorkAsync();
            if (!IsRight(name, whole, expected, actual))
            {
                differences.Add($"{name}: {string.Join(" | ", actual)} instead of {string.Join(" | ", expected)}");
            }
        }

        await bystander.AloneAsync();
        Assert.Equal(cases.Length, events.Ended.Count);
        Assert.Empty(events.Refused);
        Assert.True(differences.Count == 0, $"{state}:\n{string.Join('\n', differences)}");
    }

    [Fact]
    public async Task Bad_message_behind_a_request_that_waits_holds_no_connection()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var holder = await WireClient.ConnectTrustedAsync(pooler);
        foreach (var (name, bytes) in BadMessages.Whole().Concat(BadMessages.Truncated()))
        {
            Assert.Equal(["C BEGIN", "Z T"], await holder.QueryAsync("begin"));
            await using (var waiter = await WireClient.ConnectTrustedAsync(pooler))
            {
                await waiter.SendAsync([.. Ask.Query("select 'waited'"), .. bytes]);
                await waiter.Stream.CompleteWritesAsync(TestContext.Current.CancellationToken);
                Assert.Equal("1", await holder.ScalarAsync("select 1"));
                Assert.Equal(["C ROLLBACK", "Z I"], await holder.QueryAsync("rollback"));
                Assert.True((await waiter.ReadUntilAsync(static line => line is "closed" or "aborted")).Length < 10, name);
            }

            Assert.Equal("1", await holder.ScalarAsync("select 1"));
        }
    }

    [Fact]
    public async Task Thousands_of_Syncs_that_a_copy_swallows_are_forgotten()
    {
        await fixture.ScalarAsync("create table if not exists sink (line text)");
        await using var pooler = fixture.StartPooler(max: 1);
        await using var client = await WireClient.ConnectTrustedAsync(pooler);

        // The server sleeps, so that all of them wait behind the copy when it begins.
        await client.SendAsync(
            [Ask.Query("select pg_sleep(0.5)"), Ask.Parse("", "copy sink from stdin"), Ask.Bind("", ""), Ask.Execute(), .. Enumerable.Repeat(Ask.Sync(), 60_000)]);
        await client.ReadUntilAsync(static line => line[0] == 'G');

        Assert.Equal(["C COPY 0", "Z I"], await client.AskAsync(1, Ask.CopyDone(), Ask.Sync()));
        Assert.Equal("1", await client.ScalarAsync("select 1"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Query_behind_an_error_without_a_Sync_leaves_the_next_client_alone(bool leaves)
    {
        var time = new FakeTimeProvider();
        await using var pooler = fixture.StartImpatientPooler(time);
        var client = await WireClient.ConnectTrustedAsync(pooler);
        await using var next = await WireClient.ConnectTrustedAsync(pooler);

        // The server skips the query, and everything else up to a Sync.
        await client.SendAsync(Ask.Bind("", "nobody"), Ask.Query("select 1"));
        Assert.StartsWith("E ERROR 26000", await client.ReadAsync(), StringComparison.Ordinal);
        if (leaves)
        {
            await client.DisposeAsync();
        }
        else
        {
            Assert.StartsWith("E ERROR 53300", (await time.PassUntilAsync(next.QueryAsync("select 2")))[0], StringComparison.Ordinal);
            Assert.Equal(["Z I"], await client.AskAsync(1, Ask.Sync()));
            Assert.Equal("1", await client.ScalarAsync("select 1"));
        }

        Assert.Equal("2", await next.ScalarAsync("select 2"));
        await client.DisposeAsync();
    }

    private static bool IsRight(string name, bool whole, string[] expected, string[] actual)
    {
        if (expected.SequenceEqual(actual))
        {
            return true;
        }

        // Whoever is disconnected may miss what was not answered yet, but nothing that he gets is another's or out of order.
        if (actual is [.. var told, var last, "closed"] && last.StartsWith("E FATAL 08P01", StringComparison.Ordinal))
        {
            return (EndedHere.Contains(name) || expected[^1] == "closed") && IsBeginning(told, expected);
        }

        // Who has left himself is told nothing more.
        return (!whole || name == "terminate") && actual is [.. var before, "closed"] && expected[^1] == "closed"
            && IsBeginning(before, expected);
    }

    // A Parse that is known to be right is answered at once; PostgreSQL keeps that answer until a Sync, and drops it when it is not asked for.
    private static bool IsBeginning(string[] told, string[] expected) => expected.Take(told.Length).SequenceEqual(told) || told is ["1 "];

    private static async Task<string[]> RunAsync(WireClient client, string state, byte[] bad, bool whole)
    {
        byte[] before = [];
        switch (state)
        {
            case "in a transaction":
                await client.QueryAsync("begin");
                break;
            case "in a failed transaction":
                await client.AskAsync(2, Ask.Query("begin"), Ask.Query("select 1/0"));
                break;
            case "in a pipeline":
                before = [.. Ask.Parse("p", "select 5"), .. Ask.Bind("", "p"), .. Ask.Execute()];
                break;
            case "in a skipped pipeline":
                before = [.. Ask.Parse("p", "selec"), .. Ask.Bind("", "p"), .. Ask.Execute()];
                break;
            case "in COPY":
                await client.SendAsync(Ask.Query("copy sink from stdin"));
                await client.ReadAsync();
                break;
            case "in extended COPY":
                await client.SendAsync(Ask.Parse("", "copy sink from stdin"), Ask.Bind("", ""), Ask.Execute(), Ask.Flush());
                await client.ReadUntilAsync(static line => line[0] == 'G');
                break;
            default:
                break;
        }

        var lines = new List<string>();
        try
        {
            if (whole)
            {
                await client.SendAsync([.. before, .. bad, .. Ask.Sync(), .. Ask.Query("rollback"), .. Ask.Query("select 'alive'")]);
            }
            else
            {
                await client.SendAsync([.. before, .. bad]);
                await client.Stream.CompleteWritesAsync(TestContext.Current.CancellationToken);
            }
        }
        catch (StreamAbortedException)
        {
            // It is closed already; what was said before can still be read.
        }

        do
        {
            lines.Add((await client.ReadAsync()).Replace("aborted", "closed", StringComparison.Ordinal));
        }
        while (lines[^1] is not "closed" && !(lines is [.., "D alive", _, _]));
        return [.. lines];
    }
}
