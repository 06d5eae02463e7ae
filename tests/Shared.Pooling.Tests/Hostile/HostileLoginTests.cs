using System.Text;
using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Tests.Postgres;
using static Shared.Pooling.Tests.Hostile.ScriptedServer;

namespace Shared.Pooling.Tests.Hostile;

/// <summary>A server that misbehaves while the pooler logs in: whoever waits is told at once and with a code, and the connection is closed.</summary>
public sealed class HostileLoginTests(PoolFixture fixture)
{
    private const string NoPostgres = "E FATAL 08006 scripted does not behave as a PostgreSQL: ";
    private const string Refused = "E FATAL XX000 the database refuses the connection: ";
    private const string Ended = "E FATAL 08006 scripted ended the connection during the login: ";
    private const string Silent = "E FATAL 08001 scripted did not finish the login within ";
    private const string NoMethod = "E FATAL 28000 the database asks for an authentication method that is not supported";

    /// <summary>What comes after the startup message, and what the client is told.</summary>
    private static readonly Dictionary<string, (Func<ScriptedServer, Task> Script, string Told)> Logins = new()
    {
        ["nonce of 5,000 characters"] = (server => ScramAsync(server, nonce => $"r={nonce}{new string('x', 5000)},s=c2FsdA==,i=4096"), NoPostgres + "a SCRAM message is too long"),
        ["nonce of 70,000 characters"] = (server => ScramAsync(server, nonce => $"r={nonce}{new string('x', 70_000)},s=c2FsdA==,i=4096"), NoPostgres + "a message of"),
        ["nonce of its own"] = (server => ScramAsync(server, static _ => "r=other,s=c2FsdA==,i=4096"), NoPostgres + "the server's SCRAM nonce"),
        ["nonce that is ours"] = (server => ScramAsync(server, static nonce => $"r={nonce},s=c2FsdA==,i=4096"), NoPostgres + "the server's SCRAM nonce"),
        ["2^31-1 iterations"] = (server => ScramAsync(server, static nonce => $"r={nonce}x,s=c2FsdA==,i=2147483647"), NoPostgres + "the server asks for an impossible"),
        ["100 million iterations"] = (server => ScramAsync(server, static nonce => $"r={nonce}x,s=c2FsdA==,i=100000000"), NoPostgres + "the server asks for an impossible"),
        ["more iterations than a number"] = (server => ScramAsync(server, static nonce => $"r={nonce}x,s=c2FsdA==,i=99999999999"), NoPostgres + "the server asks for an impossible"),
        ["no iterations"] = (server => ScramAsync(server, static nonce => $"r={nonce}x,s=c2FsdA==,i=0"), NoPostgres + "the server asks for an impossible"),
        ["negative iterations"] = (server => ScramAsync(server, static nonce => $"r={nonce}x,s=c2FsdA==,i=-1"), NoPostgres + "the server asks for an impossible"),
        ["iterations without a number"] = (server => ScramAsync(server, static nonce => $"r={nonce}x,s=c2FsdA==,i="), NoPostgres + "the server asks for an impossible"),
        ["empty salt"] = (server => ScramAsync(server, static nonce => $"r={nonce}x,s=,i=1"), NoPostgres + "the server does not know the password"),
        ["giant salt"] = (server => ScramAsync(server, static nonce => $"r={nonce}x,s={new string('A', 8000)},i=1"), NoPostgres + "a SCRAM message is too long"),
        ["salt that is no base64"] = (server => ScramAsync(server, static nonce => $"r={nonce}x,s=***,i=1"), NoPostgres + "malformed SCRAM message"),
        ["attributes in another order"] = (server => ScramAsync(server, static nonce => $"s=c2FsdA==,r={nonce}x,i=1"), NoPostgres + "malformed SCRAM message"),
        ["more behind"] = (server => ScramAsync(server, static nonce => $"r={nonce}x,s=c2FsdA==,i=1,x=y"), NoPostgres + "malformed SCRAM message"),
        ["wrong signature"] = (server => ScramAsync(server, static nonce => $"r={nonce}x,s=c2FsdA==,i=4096"), NoPostgres + "the server does not know the password"),
        ["in without its first message"] = (server => SaslAsync(server, Login(0, [])), NoPostgres + "it lets us in before it has proven itself"),
        ["last message first"] = (server => SaslAsync(server, Login(12, "v=AAAA"u8)), NoPostgres + "its authentication messages come in the wrong order"),
        ["mechanisms twice"] = (server => SaslAsync(server, Login(10, "SCRAM-SHA-256\0\0"u8)), NoPostgres + "its authentication messages come in the wrong order"),
        ["unknown mechanism"] = (server => SendAsync(server, Login(10, "OTHER\0\0"u8)), NoPostgres + "it offers no SCRAM mechanism that is known"),
        ["no mechanism"] = (server => SendAsync(server, Login(10, [0])), NoPostgres + "it offers no SCRAM mechanism that is known"),
        ["mechanisms without an end"] = (server => SendAsync(server, Login(10, "SCRAM-SHA-256"u8)), NoPostgres + "a string in a message has no end"),
        ["continuation of nothing"] = (server => SendAsync(server, Login(11, "r=x,s=c2FsdA==,i=1"u8)), NoPostgres + "its authentication messages come in the wrong order"),
        ["authentication without its number"] = (server => SendAsync(server, Message('R')), NoPostgres + "a message is shorter than its fields"),
        ["unknown method"] = (server => SendAsync(server, Login(99, [])), NoMethod),
        ["Kerberos"] = (server => SendAsync(server, Login(2, [])), NoMethod),
        ["GSS"] = (server => SendAsync(server, Login(7, [])), NoMethod),
        ["md5 without a salt"] = (server => SendAsync(server, Login(5, [])), NoPostgres),
        ["in twice"] = (server => SendAsync(server, Login(0, []), Login(0, [])), NoPostgres + "it lets us in before it has proven itself"),
        ["ready at once"] = (server => SendAsync(server, Ready()), NoPostgres + "it is ready before it has let us in"),
        ["row"] = (server => SendAsync(server, Row("x")), NoPostgres + "it sends 'D' during the login"),
        ["unknown type"] = (server => SendAsync(server, Message('!')), NoPostgres + "it sends '!' during the login"),
        ["another protocol"] = (server => SendAsync(server, Message('v', 0, 4, 0, 0, 0, 0, 0, 0)), NoPostgres + "it wants a protocol that we did not offer"),
        ["negotiation twice"] = (server => SendAsync(server, Message('v', 0, 3, 0, 0, 0, 0, 0, 0), Message('v', 0, 3, 0, 0, 0, 0, 0, 0)), NoPostgres + "it negotiates the protocol twice"),
        ["short key"] = (server => SendAsync(server, Login(0, []), Message('K', 0, 0, 0, 1, 1)), NoPostgres + "its cancel key has an impossible length"),
        ["long key"] = (server => SendAsync(server, Login(0, []), Message('K', new byte[4 + 257])), NoPostgres + "its cancel key has an impossible length"),
        ["parameter without an end"] = (server => SendAsync(server, Login(0, []), Message('S', (byte)'x')), NoPostgres + "a string in a message has no end"),
        ["endless notices"] = (server => EndlessAsync(server, Message('N', [.. "SNOTICE\0C00000\0Magain\0\0"u8])), NoPostgres + "the login takes more than 256 messages"),
        ["endless parameters"] = (server => EndlessAsync(server, Parameter("name", new string('x', 10_000))), NoPostgres + "it reports too many parameters"),
        ["length 0"] = (server => SendAsync(server, BadMessages.WithLength((byte)'R', 0)), NoPostgres + "a message's length is impossible"),
        ["length 3"] = (server => SendAsync(server, BadMessages.WithLength((byte)'R', 3)), NoPostgres + "a message's length is impossible"),
        ["length 2^31-1"] = (server => SendAsync(server, BadMessages.WithLength((byte)'R', 0x7fffffff)), NoPostgres + "a message of 2147483648 bytes"),
        ["length 2^31"] = (server => SendAsync(server, BadMessages.WithLength((byte)'R', 0x80000000)), NoPostgres + "a message's length is impossible"),
        ["length 2^32-1"] = (server => SendAsync(server, BadMessages.WithLength((byte)'R', 0xffffffff)), NoPostgres + "a message's length is impossible"),
        ["HTTP"] = (server => SendAsync(server, [.. "HTTP/1.1 400 Bad Request\r\n\r\n"u8]), NoPostgres + "a message of"),
        ["error without SQLSTATE"] = (server => SendAsync(server, Error("SFATAL|Mno")), Refused + "no"),
        ["error without a message"] = (server => SendAsync(server, Error("SFATAL|CXX000")), Refused + "the server gave no message"),
        ["error without anything"] = (server => SendAsync(server, Message('E', 0)), Refused + "the server gave no message"),
        ["error without an end"] = (server => SendAsync(server, Message('E', [.. "SFATAL\0Mno"u8])), NoPostgres + "a string in a message has no end"),
        ["end at once"] = (static _ => Task.CompletedTask, Ended),
        ["end in the middle"] = (server => server.SendAsync(Login(0, [])[..^2]).AsTask(), Ended),
        ["end after the mechanisms"] = (server => server.SendAsync(Login(10, "SCRAM-SHA-256\0\0"u8)).AsTask(), Ended),
        ["end after it has let us in"] = (server => server.SendAsync(Login(0, [])).AsTask(), Ended),
        ["silence"] = (static server => server.WaitAsync(), Silent),
        ["silence after it has let us in"] = (server => SendAsync(server, Login(0, [])), Silent),
    };

    /// <summary>What comes in answer to the request for TLS.</summary>
    private static readonly Dictionary<string, (byte[] Answer, string Told)> TlsAnswers = new()
    {
        ["yes and more in clear"] = ([.. "S"u8, .. Login(0, []), .. Ready()], NoPostgres + "there were unencrypted bytes before the TLS handshake"),
        ["an error"] = (Error("SFATAL|C53300|Mtoo many"), NoPostgres + "the answer to the request for TLS is neither yes nor no"),
        ["no"] = ([.. "N"u8], "E FATAL 08001 the database offers no TLS"),
        ["nothing"] = ([], Ended),
    };

    public static TheoryData<string> Names => [.. Logins.Keys];

    public static TheoryData<string> TlsNames => [.. TlsAnswers.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Login_that_goes_wrong_is_told_at_once(string name)
    {
        var (script, told) = Logins[name];
        var origin = new ScriptedOrigin(async (server, _) =>
        {
            await server.ReadStartupAsync();
            await script(server);
        });

        Assert.StartsWith(told, await RefusalAsync(origin, origin.Options, passesTime: told == Silent), StringComparison.Ordinal);
        Assert.Equal(1, origin.Count);
    }

    [Theory]
    [MemberData(nameof(TlsNames))]
    public async Task Request_for_TLS_that_goes_wrong_is_told_at_once(string name)
    {
        var (answer, told) = TlsAnswers[name];
        var origin = new ScriptedOrigin(async (server, _) =>
        {
            await server.ReadStartupAsync();
            await server.SendAsync(answer);
        });

        Assert.StartsWith(told, await RefusalAsync(origin, origin.Options with { IsLocal = false, Tls = OriginTls.Require }, passesTime: false), StringComparison.Ordinal);
    }

    private static async Task SendAsync(ScriptedServer server, params byte[][] messages)
    {
        await server.SendAsync(messages);
        await server.WaitAsync();
    }

    private static async Task EndlessAsync(ScriptedServer server, byte[] message)
    {
        await server.SendAsync(Login(0, []));
        while (true)
        {
            await server.SendAsync(message);
        }
    }

    private static async Task SaslAsync(ScriptedServer server, byte[] next)
    {
        await server.SendAsync(Login(10, "SCRAM-SHA-256\0\0"u8));
        await server.ReadAsync();
        await SendAsync(server, next);
    }

    // Goes on to a signature that only who knows the password could make.
    private static async Task ScramAsync(ScriptedServer server, Func<string, string> first)
    {
        await server.SendAsync(Login(10, "SCRAM-SHA-256\0\0"u8));
        var clientFirst = Encoding.ASCII.GetString((await server.ReadAsync()).Body);
        await server.SendAsync(Login(11, Encoding.ASCII.GetBytes(first(clientFirst[(clientFirst.IndexOf(",r=", StringComparison.Ordinal) + 3)..]))));
        await server.ReadAsync();
        await SendAsync(server, Login(12, Encoding.ASCII.GetBytes($"v={Convert.ToBase64String(new byte[32])}")), Login(0, []), Ready());
    }

    // Without time that passes no limit can be what ends the login.
    private async Task<string> RefusalAsync(ScriptedOrigin origin, OriginOptions options, bool passesTime)
    {
        var time = new FakeTimeProvider();
        await using var pooler = fixture.StartPooler(max: 1, origin: options with { ConnectTimeout = TimeSpan.FromSeconds(1) }, time: time);
        var refusing = Assert.ThrowsAsync<InvalidOperationException>(() => WireClient.ConnectTrustedAsync(pooler));
        if (passesTime)
        {
            await origin.DialedAsync();
            await time.PassUntilAsync(refusing);
        }

        return (await refusing).Message;
    }
}
