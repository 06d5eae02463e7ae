using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Globalization;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Tests.Postgres;
using Shared.Streams;

namespace Shared.Pooling.Tests.Hostile;

/// <summary>
/// Valid conversations, damaged at random: nothing crashes, nothing hangs, and the next client finds a clean session. Alone, because it
/// looks for exceptions that nobody has seen.
/// </summary>
[Collection(nameof(Alone))]
public sealed class FuzzTests(PoolFixture fixture)
{
    /// <summary>TUNNEL_TEST_FUZZ says how many; a long run has 100,000.</summary>
    private static readonly int Cases = int.Parse(Environment.GetEnvironmentVariable("TUNNEL_TEST_FUZZ") ?? "2000", CultureInfo.InvariantCulture);

    private const string Probe = """
        select concat_ws('|', nullif(current_setting('app.x', true), ''), current_setting('work_mem'), current_setting('search_path'), current_user,
            (select count(*) from pg_class where relnamespace = pg_my_temp_schema()), (select count(*) from pg_listening_channels()),
            (select count(*) from pg_prepared_statements where from_sql), (select count(*) from pg_cursors where name <> ''))
        """;

    private static readonly byte[][] Conversation =
    [
        Ask.Query("select 1"),
        Ask.Query("begin"),
        Ask.Parse("a", "select $1::int"),
        Ask.Bind("p", "a", "7"),
        Ask.DescribeStatement("a"),
        Ask.DescribePortal("p"),
        Ask.Execute("p", 1),
        Ask.Sync(),
        Ask.Parse("", "select name from items where id = $1", 23),
        Ask.Bind("", "", "5"),
        Ask.Execute(),
        Ask.Flush(),
        Ask.Sync(),
        Ask.Query("set app.x = 'dirt'"),
        Ask.Query("listen dirt"),
        Ask.Query("create temp table dirt (i int)"),
        Ask.Query("copy sink from stdin"),
        Ask.CopyData("line\n"),
        Ask.CopyDone(),
        Ask.Query("copy items to stdout"),
        Ask.CloseStatement("a"),
        Ask.ClosePortal("p"),
        Ask.Function(1610),
        Ask.Sync(),
        Ask.Query("commit"),
        Ask.Query("select * from generate_series(1, 300)"),
        Ask.CopyFail("no"),
        Ask.Query("discard all"),
        Ask.Terminate(),
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task Whatever_is_damaged_the_next_client_is_served(int connections)
    {
        await fixture.ScalarAsync("create table if not exists sink (line text)");

        // What other tests have left is not looked for.
        FinalizeAll();
        var unseen = new ConcurrentQueue<Exception>();
        void Note(object? sender, UnobservedTaskExceptionEventArgs unobserved) => unseen.Enqueue(unobserved.Exception);
        TaskScheduler.UnobservedTaskException += Note;
        try
        {
            var events = new PoolEvents();
            await using var pooler = fixture.StartPooler(connections, events: events, handshake: new HandshakeOptions { LoginTimeout = TimeSpan.FromSeconds(20) });
            await using var bystander = await Bystander.ConnectAsync(pooler);
            var clean = await ProbeAsync(pooler);
            var random = new Random(20261124 + connections);
            for (var number = 0; number < Cases; number++)
            {
                var seed = random.Next();
                try
                {
                    await RunAsync(pooler, new Random(seed));
                    var seen = number % 10 == 0 ? await ProbeAsync(pooler) : clean;
                    Assert.True(seen == clean, $"the next client sees {seen} instead of {clean}");
                }
                catch (Exception exception)
                {
                    throw new InvalidOperationException($"case {number} (seed {seed}): {exception.Message}; closed: {string.Join(" | ", events.Closed.TakeLast(3))}", exception);
                }
            }

            await bystander.WorkAsync();
            await bystander.AloneAsync();
        }
        finally
        {
            FinalizeAll();
            TaskScheduler.UnobservedTaskException -= Note;
        }

        Assert.Empty(unseen);
        Assert.Equal("100", await fixture.ScalarAsync("select count(*) from items"));
    }

    private static void FinalizeAll()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
    }

    private static async Task RunAsync(PostgresPooler pooler, Random random)
    {
        // Now and then the startup message is damaged, too.
        var messages = Conversation.Skip(random.Next(Conversation.Length)).Take(1 + random.Next(8)).ToList();
        var damagesLogin = random.Next(5) == 0;
        if (damagesLogin)
        {
            messages.Insert(0, Startup.Message("app", "postgres", ("application_name", "fuzz"), ("options", "-c work_mem=5MB")));
        }

        for (var damages = random.Next(4); damages >= 0; damages--)
        {
            Damage(messages, random);
        }

        await using var client = damagesLogin ? WireClient.Open(pooler, trusted: true) : await WireClient.ConnectTrustedAsync(pooler);
        var reading = DrainAsync(client);
        try
        {
            await client.SendAsync([.. messages]);
            if (random.Next(2) == 0)
            {
                await client.Stream.CompleteWritesAsync(TestContext.Current.CancellationToken);
            }
            else
            {
                client.Abort();
            }
        }
        catch (StreamAbortedException)
        {
            // The pooler has had enough of it.
        }

        await client.ServedAsync();
        await client.Stream.DisposeAsync();
        await reading;
    }

    private static void Damage(List<byte[]> messages, Random random)
    {
        var at = random.Next(messages.Count);
        var message = (byte[])messages[at].Clone();
        switch (random.Next(7))
        {
            case 0:
                message[random.Next(message.Length)] ^= (byte)(1 << random.Next(8));
                break;
            case 1:
                message = message[..random.Next(1, message.Length + 1)];
                break;
            case 2:
                messages.Insert(at, message);
                return;
            case 3:
                (messages[at], messages[0]) = (messages[0], messages[at]);
                return;
            case 4 when message.Length >= 5:
                BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), random.Next(3) == 0 ? random.Next() : random.Next(64));
                break;
            case 5:
                var bytes = new byte[random.Next(1, 20)];
                random.NextBytes(bytes);
                message = [.. message, .. bytes];
                break;
            default:
                messages.RemoveAt(at);
                if (messages.Count == 0)
                {
                    messages.Add(message);
                }

                return;
        }

        messages[at] = message;
    }

    // Reads as long as something comes, so that nobody waits for a client that does not read.
    private static async Task DrainAsync(WireClient client)
    {
        var buffer = new byte[16 * 1024];
        try
        {
            while (await client.Stream.ReadAsync(buffer, TestContext.Current.CancellationToken) > 0)
            {
            }
        }
        catch (StreamAbortedException)
        {
            // So it ends.
        }
    }

    private static async Task<string> ProbeAsync(PostgresPooler pooler)
    {
        await using var client = await WireClient.ConnectTrustedAsync(pooler);
        return await client.ScalarAsync(Probe);
    }
}
