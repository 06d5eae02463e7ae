using System.Text;
using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Tests.Postgres;
using Shared.Streams;

namespace Shared.Pooling.Tests.Hostile;

/// <summary>
/// Bad bytes before a client is logged in: it is closed, or told in one ErrorResponse; one line is logged, and little memory spent.
/// Alone, because it counts what this process allocates.
/// </summary>
[Collection(nameof(Alone))]
public sealed class BadLoginTests(PoolFixture fixture)
{
    private const int MostPerConnection = 64 * 1024;

    /// <summary>What comes first, and how the ErrorResponse begins; empty where it is closed without a word.</summary>
    private static readonly (string Name, byte[] Bytes, string Told)[] First =
    [
        ("garbage", [0x8f, 0x01, 0xff, 0x00, 0x17, 0x2a, 0x99, 0x03, 0x80, 0x7f], ""),
        ("HTTP", [.. "GET / HTTP/1.1\r\nHost: db\r\n\r\n"u8], ""),
        ("TLS where none is offered", [0x16, 3, 1, 0, 100, 1, 0, 0, 96, 3, 3], ""),
        ("query", Ask.Query("select 1"), ""),
        ("one byte", [0], ""),
        ("half a header", [0, 0, 0], ""),
        ("half a message", Startup.Message("app", "postgres")[..^4], ""),
        ("protocol 2", Startup.Packet(2 << 16), "E FATAL 0A000"),
        ("protocol 4", Startup.Packet(4 << 16), "E FATAL 0A000"),
        ("no user", Startup.Packet(Startup.Version, [.. "database\0postgres\0\0"u8]), "E FATAL 28000"),
        ("empty user", Startup.Packet(Startup.Version, [.. "user\0\0\0"u8]), "E FATAL 28000"),
        ("no end", Startup.Packet(Startup.Version, [.. "user\0app"u8]), ""),
        ("name without a value", Startup.Packet(Startup.Version, [.. "user\0"u8]), ""),
        ("more behind", Startup.Packet(Startup.Version, [.. "user\0app\0\0more"u8]), ""),
        ("nothing in it", Startup.Packet(Startup.Version), ""),
        ("options -c=", Startup.Message("app", "postgres", ("options", "-c=")), "E FATAL 42601"),
        ("options -c", Startup.Message("app", "postgres", ("options", "-c")), "E FATAL 42601"),
        ("options --", Startup.Message("app", "postgres", ("options", "--")), "E FATAL 42601"),
        ("options of PostgreSQL's own", Startup.Message("app", "postgres", ("options", "-d 5")), "E FATAL 42601"),
        ("SSLRequest that is too long", Startup.Packet(Startup.Ssl, 1), ""),
        ("SSLRequest twice", [.. Startup.Packet(Startup.Ssl), .. Startup.Packet(Startup.Ssl)], ""),
        ("GSSENCRequest twice", [.. Startup.Packet(Startup.Gss), .. Startup.Packet(Startup.Gss)], ""),
        ("cancel request without a key", Startup.Packet(80877102, 0, 0, 0, 1), ""),
        ("cancel request with a giant key", Startup.Packet(80877102, new byte[2000]), ""),
        .. BadMessages.Lengths.Append(10_001u).Select(static length => ($"length {length}", Startup.Header(length, Startup.Version), "")),
        .. BadMessages.Lengths.Append(10_001u).Select(static length => ($"SSLRequest of length {length}", Startup.Header(length, Startup.Ssl), "")),
    ];

    /// <summary>What comes where a password is expected.</summary>
    private static readonly (string Name, byte[] Bytes)[] Passwords =
    [
        ("startup message again", Startup.Message("app", "postgres")),
        ("SSLRequest", Startup.Packet(Startup.Ssl)),
        ("query", Ask.Query("select 1")),
        ("terminate", Ask.Terminate()),
        ("no content", Password([])),
        ("half", Password("SCRAM-SHA-256\0"u8)[..^3]),
        ("unknown mechanism", Initial("OTHER", "n,,n=,r=abc")),
        ("PLUS without TLS", Initial("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abc")),
        ("mechanism without an end", Password("SCRAM-SHA-256"u8)),
        ("lying length", Password([.. "SCRAM-SHA-256\0"u8, 0x7f, 0xff, 0xff, 0xff, .. "n,,n=,r=abc"u8])),
        ("negative length", Password([.. "SCRAM-SHA-256\0"u8, 0xff, 0xff, 0xff, 0xff])),
        ("header without commas", Initial("SCRAM-SHA-256", "n")),
        ("authorization identity", Initial("SCRAM-SHA-256", "n,a=other,n=,r=abc")),
        ("unknown binding", Initial("SCRAM-SHA-256", "x,,n=,r=abc")),
        ("empty nonce", Initial("SCRAM-SHA-256", "n,,n=,r=")),
        ("nonce with a control character", Initial("SCRAM-SHA-256", "n,,n=,r=a\u0001b")),
        ("nonce of 5,000 characters", Initial("SCRAM-SHA-256", "n,,n=,r=" + new string('x', 5000))),
        ("9,000 bytes", Password(new byte[9000])),
        ("proof of another nonce", Password("c=biws,r=other,p=AAAA"u8)),
        ("proof that is no base64", Password("c=***,r=abc,p=***"u8)),
        ("no proof", Password("c=biws,r=abc"u8)),
        .. BadMessages.Lengths.Select(static length => ($"length {length}", BadMessages.WithLength((byte)'p', length))),
    ];

    public static TheoryData<string> States => ["at first", "after SSLRequest", "for the first password message", "for the second"];

    [Theory]
    [MemberData(nameof(States))]
    public async Task Bad_bytes_are_refused_at_once(string state)
    {
        var events = new PoolEvents();
        await using var pooler = fixture.StartPooler(max: 1, events: events);
        await using var bystander = await Bystander.ConnectAsync(pooler);
        foreach (var (name, bytes, told) in Cases(state))
        {
            events.Refused.Clear();
            await using var client = await OpenAsync(pooler, state);
            var answers = await RefusedAsync(client, bytes);
            await client.ServedAsync();

            Assert.True(told.Length == 0 ? answers.Length == 1 : answers.Length == 2 && answers[0].StartsWith(told, StringComparison.Ordinal), $"{name}: {string.Join(" | ", answers)}");
            Assert.True(events.Refused.Count == 1, $"{name}: {events.Refused.Count} lines in the log");
            await bystander.WorkAsync();
        }

        await bystander.AloneAsync();
    }

    [Theory]
    [MemberData(nameof(States))]
    public async Task Bad_bytes_cost_little_memory(string state)
    {
        await using var pooler = fixture.StartPooler(max: 1);
        var cases = Cases(state).ToArray();

        async Task RunAsync(int connections)
        {
            for (var i = 0; i < connections; i++)
            {
                await using var client = await OpenAsync(pooler, state);
                await RefusedAsync(client, cases[i % cases.Length].Bytes);
                await client.ServedAsync();
            }
        }

        await RunAsync(cases.Length);
        var before = GC.GetTotalAllocatedBytes(precise: true);
        await RunAsync(200);
        var each = (GC.GetTotalAllocatedBytes(precise: true) - before) / 200;

        TestContext.Current.TestOutputHelper?.WriteLine($"{state}: {each} bytes for each connection");
        Assert.InRange(each, 0, MostPerConnection);
    }

    [Fact]
    public async Task Memory_for_a_message_grows_with_what_has_come_of_it()
    {
        const int Clients = 20;
        await using var pooler = fixture.StartPooler(max: 1);
        var clients = new List<WireClient>();
        for (var i = 0; i < Clients; i++)
        {
            clients.Add(await WireClient.ConnectTrustedAsync(pooler));
        }

        var before = GC.GetTotalAllocatedBytes(precise: true);
        foreach (var client in clients)
        {
            await client.SendAsync([.. BadMessages.WithLength((byte)'Q', 16 * 1024 * 1024 - 1), .. "select"u8]);
            await client.Stream.CompleteWritesAsync(TestContext.Current.CancellationToken);
            await client.ServedAsync();
        }

        Assert.InRange((GC.GetTotalAllocatedBytes(precise: true) - before) / Clients, 0, MostPerConnection);
        foreach (var client in clients)
        {
            await client.DisposeAsync();
        }
    }

    [Fact]
    public async Task Silence_is_ended_by_the_login_timeout()
    {
        var events = new PoolEvents();
        var time = new FakeTimeProvider();
        await using var pooler = fixture.StartPooler(max: 1, events: events, handshake: new HandshakeOptions { LoginTimeout = TimeSpan.FromSeconds(2) }, time: time);
        var silent = new List<WireClient>();
        foreach (var state in States.Select(static row => row.Data))
        {
            foreach (var bytes in new[] { [], new byte[] { 0, 0 } })
            {
                var client = await OpenAsync(pooler, state);
                await client.SendAsync(bytes);
                silent.Add(client);
            }
        }

        foreach (var client in silent)
        {
            await time.PassUntilAsync(client.ServedAsync());
            await client.DisposeAsync();
        }

        Assert.Equal(Enumerable.Repeat("the login took too long", silent.Count), events.Refused);
    }

    [Fact]
    public async Task Unknown_parameter_is_refused_by_its_name()
    {
        await using var pooler = fixture.StartPooler(max: 1);

        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => WireClient.ConnectAsync(pooler, ("nonsense", "1")));

        Assert.Equal("E FATAL 42704 unrecognized configuration parameter \"nonsense\"", exception.Message);
    }

    private static IEnumerable<(string Name, byte[] Bytes, string Told)> Cases(string state) => state switch
    {
        "at first" => First,

        // A second SSLRequest among them is the third then, and no better.
        "after SSLRequest" => First,
        _ => Passwords.Select(static bad => (bad.Name, bad.Bytes, "")),
    };

    private static async Task<WireClient> OpenAsync(PostgresPooler pooler, string state)
    {
        var client = WireClient.Open(pooler);
        switch (state)
        {
            case "after SSLRequest":
                await client.SendAsync(Startup.Packet(Startup.Ssl));
                var answer = new byte[1];
                Assert.Equal(1, await client.Stream.ReadAsync(answer, TestContext.Current.CancellationToken));
                Assert.Equal((byte)'N', answer[0]);
                break;
            case "for the first password message":
                await client.SendAsync(Startup.Message("app", "postgres"));
                await client.ReadAsync();
                break;
            case "for the second":
                await client.SendAsync(Startup.Message("app", "postgres"));
                await client.ReadAsync();
                await client.SendAsync(Initial("SCRAM-SHA-256", "n,,n=,r=abc"));
                await client.ReadAsync();
                break;
            default:
                break;
        }

        return client;
    }

    private static async Task<string[]> RefusedAsync(WireClient client, byte[] bytes)
    {
        try
        {
            await client.SendAsync(bytes);
            await client.Stream.CompleteWritesAsync(TestContext.Current.CancellationToken);
        }
        catch (StreamAbortedException)
        {
            // It was refused before its end; what was answered can still be read.
        }

        return await client.ReadUntilAsync(static line => line is "closed" or "aborted");
    }

    private static byte[] Initial(string mechanism, string first) =>
        Password([.. Encoding.ASCII.GetBytes(mechanism), 0, 0, 0, (byte)(first.Length >> 8), (byte)first.Length, .. Encoding.ASCII.GetBytes(first)]);

    private static byte[] Password(ReadOnlySpan<byte> body) => [.. BadMessages.WithLength((byte)'p', (uint)body.Length + 4), .. body];
}
