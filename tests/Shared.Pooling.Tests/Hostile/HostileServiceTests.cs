using Shared.Pooling.Tests.Postgres;
using Shared.Streams;
using Shared.Streams.Dialing;
using static Shared.Pooling.Tests.Hostile.ScriptedServer;

namespace Shared.Pooling.Tests.Hostile;

/// <summary>
/// A server that misbehaves after its login: its client is told, its connection is closed and never used again, and the next query
/// runs on another one.
/// </summary>
public sealed class HostileServiceTests(PoolFixture fixture)
{
    private const string Lost = "E FATAL 08006 the connection to the database was lost";

    /// <summary>What comes in answer to a query.</summary>
    private static readonly Dictionary<string, byte[]> Answers = new()
    {
        ["authentication"] = Login(0, []),
        ["key data"] = Message('K', 0, 0, 0, 1, 1, 2, 3, 4),
        ["negotiation"] = Message('v', 0, 3, 0, 0, 0, 0, 0, 0),
        ["unknown type"] = Message('!'),
        ["type zero"] = Message('\0'),
        ["a client's query"] = Message('Q', [.. "select 1\0"u8]),
        ["copy both"] = Message('W', 0, 0, 0),
        ["answer to a parse"] = Message('1'),
        ["answer to a bind"] = Message('2'),
        ["answer to a close"] = Message('3'),
        ["answer to a describe"] = Message('t', 0, 0),
        ["no data"] = Message('n'),
        ["portal suspended"] = Message('s'),
        ["answer to a function call"] = Message('V', 0, 0, 0, 0),
        ["ready without a status"] = Message('Z'),
        ["ready with two"] = Message('Z', (byte)'I', (byte)'I'),
        ["ready with an unknown one"] = Message('Z', (byte)'Q'),
        ["row that nobody asked for"] = [.. Complete(), .. Ready(), .. Row("late")],
        ["error without an end"] = Message('E', [.. "SERROR\0C42601"u8]),
        ["parameter without an end"] = Message('S', [.. "name\0value"u8]),
        ["length 0"] = BadMessages.WithLength((byte)'D', 0),
        ["length 3"] = BadMessages.WithLength((byte)'D', 3),
        ["length 2^31"] = BadMessages.WithLength((byte)'D', 0x80000000),
        ["length 2^32-1"] = BadMessages.WithLength((byte)'D', 0xffffffff),
        ["ready of length 2^31-1"] = BadMessages.WithLength((byte)'Z', 0x7fffffff),
        ["error of length 2^31-1"] = BadMessages.WithLength((byte)'E', 0x7fffffff),
        ["parameter of length 2^31-1"] = BadMessages.WithLength((byte)'S', 0x7fffffff),
        ["nothing"] = [],
        ["half a header"] = [(byte)'D', 0],
        ["half a command complete"] = Complete()[..^3],
        ["half an error"] = Error("SERROR|C42601|Mhalf")[..^6],
    };

    public static TheoryData<string> Names => [.. Answers.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Wrong_answer_ends_the_connection_and_its_client_is_told(string name)
    {
        var origin = new ScriptedOrigin(async (server, number) =>
        {
            if (await server.LetInAsync())
            {
                if (number == 1)
                {
                    await server.ReadAsync();
                    await server.SendAsync(Answers[name]);
                    return;
                }

                await server.ServeAsync(number);
            }
        });
        var events = new PoolEvents();
        await using var pooler = fixture.StartPooler(max: 1, events: events, origin: origin.Options);
        await using (var client = await WireClient.ConnectTrustedAsync(pooler))
        {
            // In a pipeline of two the client still waits for something, whatever the first one was answered.
            await client.SendAsync(Ask.Query("select 1"), Ask.Query("select 2"));
            var lines = await client.ReadUntilAsync(static line => line is "closed" or "aborted");
            Assert.StartsWith(Lost, lines[^2], StringComparison.Ordinal);
            await client.ServedAsync();
        }

        await using var next = await WireClient.ConnectTrustedAsync(pooler);
        Assert.NotEqual("1", await next.ScalarAsync("select 1"));
        Assert.Single(events.Closed);
        Assert.Single(events.Ended);
    }

    [Fact]
    public async Task Fault_while_connecting_is_reported_and_costs_no_place_in_the_pool()
    {
        var events = new PoolEvents();
        var dialer = new FaultyDialer(fixture.Origin.Dialer);
        await using var pooler = fixture.StartPooler(max: 1, events: events, origin: fixture.Origin with { Dialer = dialer });
        await using (var refused = WireClient.Open(pooler, trusted: true))
        {
            var lines = await refused.AskUntilClosedAsync(Startup.Message("app", "postgres"));
            Assert.StartsWith("E FATAL XX000", lines[^2], StringComparison.Ordinal);
        }

        Assert.Equal("nobody expects that", Assert.Single(events.Faults).Message);
        dialer.IsSound = true;

        await using var client = await WireClient.ConnectTrustedAsync(pooler);
        Assert.Equal("1", await client.ScalarAsync("select 1"));
    }

    [Fact]
    public async Task What_comes_in_the_middle_of_a_message_is_never_taken_for_its_rest()
    {
        var origin = new ScriptedOrigin(async (server, number) =>
        {
            if (await server.LetInAsync())
            {
                await server.ReadAsync();

                // A row of 400 bytes whose last ten never come.
                await server.SendAsync(Message('T', 0, 0), [.. BadMessages.WithLength((byte)'D', 410), 0, 1, 0, 0, 1, 144, .. new byte[390]]);
            }
        });
        await using var pooler = fixture.StartPooler(max: 1, origin: origin.Options);
        await using var client = await WireClient.ConnectTrustedAsync(pooler);

        var lines = await client.AskUntilClosedAsync(Ask.Query("select 1"));

        Assert.Equal(["T "], lines[..^1]);
    }

    [Fact]
    public async Task Client_that_is_ended_in_the_middle_of_a_message_is_not_told_inside_it()
    {
        var origin = new ScriptedOrigin(async (server, number) =>
        {
            if (await server.LetInAsync())
            {
                await server.ReadAsync();
                await server.SendAsync(Message('T', 0, 0), [.. BadMessages.WithLength((byte)'D', 410), 0, 1, 0, 0, 1, 144, .. new byte[390]]);
                await server.WaitAsync();
            }
        });
        await using var pooler = fixture.StartPooler(max: 1, origin: origin.Options);
        await using var console = await WireClient.ConnectAsAsync(pooler, "app", PoolFixture.Password, "pooler");
        await using var client = await WireClient.ConnectTrustedAsync(pooler);
        await client.SendAsync(Ask.Query("select 1"));
        Assert.Equal("T ", await client.ReadAsync());

        await console.QueryAsync($"kill client {client.ProcessId}");

        Assert.Single(await client.ReadUntilAsync(static line => line is "closed" or "aborted"));
    }

    [Theory]
    [InlineData("SFATAL|VFATAL|C57P01|Mgoing down", "E FATAL 57P01 going down")]
    [InlineData("SFATAL|Mgoing down", "E FATAL 08006 the connection to the database was lost: the server sent an error without SQLSTATE")]
    public async Task Last_words_of_the_server_are_the_clients(string fields, string said)
    {
        var origin = new ScriptedOrigin(async (server, number) =>
        {
            if (await server.LetInAsync())
            {
                await server.ReadAsync();
                await server.SendAsync(Error(fields));
            }
        });
        await using var pooler = fixture.StartPooler(max: 1, origin: origin.Options);
        await using var client = await WireClient.ConnectTrustedAsync(pooler);

        Assert.Equal([said, "closed"], await client.AskUntilClosedAsync(Ask.Query("select 1")));
    }

    [Fact]
    public async Task Error_that_only_speaks_of_fatal_things_is_not_the_last_word()
    {
        var origin = new ScriptedOrigin(async (server, number) =>
        {
            if (await server.LetInAsync())
            {
                await server.ReadAsync();
                await server.SendAsync(Error("SERROR|VERROR|CP0001|MFATAL"), Ready());
                await server.ReadAsync();
            }
        });
        await using var pooler = fixture.StartPooler(max: 1, origin: origin.Options);
        await using var client = await WireClient.ConnectTrustedAsync(pooler);

        Assert.Equal(["E ERROR P0001 FATAL", "Z I"], await client.QueryAsync("select fails()"));
        Assert.StartsWith(Lost, (await client.AskUntilClosedAsync(Ask.Query("select 1")))[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("FATAL")]
    [InlineData("row")]
    [InlineData("ready")]
    [InlineData("end")]
    public async Task What_an_idle_server_says_reaches_nobody(string last)
    {
        var idle = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var origin = new ScriptedOrigin(async (server, number) =>
        {
            if (await server.LetInAsync())
            {
                if (number == 1)
                {
                    await idle.Task;
                    await server.SendAsync(
                        Message('N', [.. "SNOTICE\0VNOTICE\0C00000\0Mnobody asked\0\0"u8]), Message('A', [0, 0, 0, 1, .. "channel\0payload\0"u8]),
                        Parameter("application_name", "said while idle"),
                        last switch { "FATAL" => Error("SFATAL|VFATAL|C57P01|Mgoing down"), "row" => Row("late"), "ready" => Ready(), _ => [] });
                    return;
                }

                await server.ServeAsync(number);
            }
        });
        var events = new PoolEvents();
        await using var pooler = fixture.StartPooler(max: 1, events: events, origin: origin.Options);
        await using var console = await WireClient.ConnectAsAsync(pooler, "app", PoolFixture.Password, "pooler");
        await using var client = await WireClient.ConnectTrustedAsync(pooler);
        await UntilAsync(async () => await Bystander.TableAsync(console, "show servers") is [{ } server] && server["state"] == "idle");

        idle.SetResult();
        await UntilAsync(() => Task.FromResult(!events.Closed.IsEmpty));

        Assert.Equal(["T n:25", "D 2", "C SELECT 1", "Z I"], await client.QueryAsync("select 1"));
    }

    [Fact]
    public async Task Endless_parameters_end_the_connection()
    {
        var origin = new ScriptedOrigin(async (server, number) =>
        {
            if (await server.LetInAsync())
            {
                await server.ReadAsync();
                for (var i = 0; number == 1; i++)
                {
                    await server.SendAsync(Parameter($"name{i}", new string('x', 1000)));
                }

                await server.SendAsync(Complete(), Ready());
                await server.ServeAsync(number);
            }
        });
        var events = new PoolEvents();
        await using var pooler = fixture.StartPooler(max: 1, events: events, origin: origin.Options);
        await using (var client = await WireClient.ConnectTrustedAsync(pooler))
        {
            Assert.StartsWith(Lost, (await client.AskUntilClosedAsync(Ask.Query("select 1")))[^2], StringComparison.Ordinal);
        }

        Assert.Contains("parameters", Assert.Single(events.Closed), StringComparison.Ordinal);
        await using var next = await WireClient.ConnectTrustedAsync(pooler);
        Assert.Equal(["C SELECT 1", "Z I"], await next.QueryAsync("select 1"));
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (!await condition())
        {
            await Task.Delay(5, patience.Token);
        }
    }

    private sealed class FaultyDialer(IDialer dialer) : IDialer
    {
        public bool IsSound { get; set; }

        public ValueTask<DuplexStream> DialAsync(CancellationToken cancellationToken) =>
            IsSound ? dialer.DialAsync(cancellationToken) : throw new InvalidOperationException("nobody expects that");
    }
}
