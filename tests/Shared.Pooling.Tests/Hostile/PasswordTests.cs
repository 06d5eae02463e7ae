using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Tests.Postgres;
using Shared.Streams;

namespace Shared.Pooling.Tests.Hostile;

/// <summary>Whoever guesses passwords or names learns nothing and holds up nobody.</summary>
public sealed class PasswordTests(PoolFixture fixture)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Many_wrong_passwords_at_once_disturb_nobody()
    {
        var events = new PoolEvents();
        await using var pooler = fixture.StartPooler(max: 2, events: events, time: new FakeTimeProvider());
        await using var bystander = await Bystander.ConnectAsync(pooler);

        var guessing = Task.WhenAll(Enumerable.Range(0, 500).Select(async number =>
        {
            var user = number % 2 == 0 ? "app" : $"nobody{number}";
            var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => WireClient.ConnectAsAsync(pooler, user, $"guess {number}", "postgres"));
            Assert.Equal($"E FATAL 28P01 password authentication failed for user \"{user}\"", exception.Message);
        }));
        var work = 0;
        do
        {
            await bystander.WorkAsync();
            work++;
        }
        while (!guessing.IsCompleted || work < 100);

        await guessing;
        Assert.Equal(500, events.Refused.Count);
        await bystander.AloneAsync();
    }

    [Theory]
    [InlineData("ape", "postgres")]
    [InlineData("app", "nowhere")]
    [InlineData("ape", "nowhere")]
    [InlineData("ape", "pooler")]
    public async Task Unknown_names_are_answered_like_a_wrong_password(string user, string database)
    {
        await using var pooler = fixture.StartPooler(max: 1);

        var known = await GuessAsync(pooler, "app", "postgres");
        var unknown = await GuessAsync(pooler, user, database);
        var again = await GuessAsync(pooler, user, database);

        Assert.Equal(known.Form, unknown.Form);
        Assert.Equal(unknown.Salt, again.Salt);
        Assert.NotEqual(known.Salt, (await GuessAsync(pooler, "ape", database)).Salt);
        Assert.Equal(known.Salt, (await GuessAsync(pooler, "app", database)).Salt);
    }

    /// <returns>All messages with their lengths, without what is random or said by the client; and the salt.</returns>
    private static async Task<(string Form, string Salt)> GuessAsync(PostgresPooler pooler, string user, string database)
    {
        await using var client = WireClient.Open(pooler);
        using var reader = new MessageReader(client.Stream);
        await client.SendAsync(Startup.Message(user, database));
        var form = new List<string> { await NextAsync(reader) };
        await client.SendAsync(Password([.. "SCRAM-SHA-256\0"u8, 0, 0, 0, 11, .. "n,,n=,r=abc"u8]));
        var first = await NextAsync(reader);
        var parts = Regex.Match(first, "r=(?<nonce>[^,]*),s=(?<salt>[^,]*),");
        form.Add(first.Replace(parts.Groups["nonce"].Value, "", StringComparison.Ordinal).Replace(parts.Groups["salt"].Value, "", StringComparison.Ordinal));
        await client.SendAsync(Password(Encoding.ASCII.GetBytes($"c=biws,r={parts.Groups["nonce"].Value},p={Convert.ToBase64String(new byte[32])}")));
        form.Add((await NextAsync(reader)).Replace($"\"{user}\"", "", StringComparison.Ordinal));
        form.Add(await NextAsync(reader));
        return (string.Join('\n', form), parts.Groups["salt"].Value);
    }

    private static async Task<string> NextAsync(MessageReader reader)
    {
        try
        {
            var (type, body) = await reader.ReadMessageAsync(64 * 1024, Cancelled).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancelled);
            return $"{(char)type} {body.Length} {Encoding.ASCII.GetString(body.Span)}";
        }
        catch (EndOfStreamException)
        {
            return "closed";
        }
        catch (StreamAbortedException)
        {
            return "aborted";
        }
    }

    private static byte[] Password(ReadOnlySpan<byte> body) => [.. BadMessages.WithLength((byte)'p', (uint)body.Length + 4), .. body];
}
