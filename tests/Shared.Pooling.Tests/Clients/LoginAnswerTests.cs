using Shared.Pooling.Postgres.Authentication;
using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Tests.Hostile;
using Shared.Pooling.Tests.Postgres;

namespace Shared.Pooling.Tests.Clients;

/// <summary>What a client is told after its proof, in which order.</summary>
public sealed class LoginAnswerTests(PoolFixture fixture)
{
    private const string SaslFinal = "R 0000000c";
    private const string Accepted = "R 00000000";

    [Fact]
    public async Task Whoever_has_logged_in_hears_our_proof_before_anything_else()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var client = WireClient.Open(pooler);

        await ProveAsync(client, "postgres");
        var answers = await client.ReadUntilAsync(static line => line.StartsWith('Z'));

        Assert.StartsWith(SaslFinal, answers[0], StringComparison.Ordinal);
        Assert.Equal(Accepted, answers[1]);
        Assert.Contains(answers, static line => line.StartsWith("S server_version=", StringComparison.Ordinal));
        Assert.Equal("Z I", answers[^1]);
    }

    /// <summary>Before there is a pool to ask, or by the server that is asked what to tell.</summary>
    [Theory]
    [InlineData("nowhere", "", "E FATAL 3D000")]
    [InlineData("postgres", "no_such_setting", "E FATAL 42704")]
    public async Task Whoever_has_logged_in_and_is_refused_nevertheless_hears_both(string database, string setting, string error)
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var client = WireClient.Open(pooler);

        await ProveAsync(client, database, setting.Length > 0 ? [(setting, "1")] : []);
        var answers = await client.ReadUntilAsync(static line => line is "closed" or "aborted");

        Assert.Equal(4, answers.Length);
        Assert.StartsWith(SaslFinal, answers[0], StringComparison.Ordinal);
        Assert.Equal(Accepted, answers[1]);
        Assert.StartsWith(error, answers[2], StringComparison.Ordinal);
        Assert.Equal("closed", answers[3]);
    }

    private static async Task ProveAsync(WireClient client, string database, params (string Name, string Value)[] settings)
    {
        var scram = new ScramClient(PoolFixture.Password, keys: null, binding: null, couldBind: false);
        await client.SendAsync(Startup.Message("app", database, settings));
        Assert.StartsWith("R 0000000a", await client.ReadAsync(), StringComparison.Ordinal);
        var first = scram.First();
        await client.SendAsync(Password(writer => writer.CString(ScramClient.Mechanism).Int32(first.Length).Bytes(first)));
        var challenge = await client.ReadAsync();
        Assert.StartsWith("R 0000000b", challenge, StringComparison.Ordinal);
        var final = scram.Final(Convert.FromHexString(challenge["R 0000000b".Length..]));
        await client.SendAsync(Password(writer => writer.Bytes(final)));
    }

    private static byte[] Password(Action<MessageWriter> write)
    {
        using var writer = new MessageWriter();
        writer.Begin(FrontendMessage.Password);
        write(writer);
        writer.End();
        return writer.Written.ToArray();
    }
}
