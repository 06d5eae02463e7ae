using System.Text;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>Encodings in which a character may hold a backslash: what hides behind one does not reach the next client.</summary>
public sealed class EncodingTests(PoolFixture fixture)
{
    private const string Probe = "select coalesce(current_setting('app.x', true), '') || current_setting('client_encoding')";

    // In SJIS the two bytes are one character. Whoever takes the second for a backslash sees one long literal.
    private static readonly byte[] Hidden = Encoding.Latin1.GetBytes("select E'\x95\\', set_config('app.x', 'dirt', false) --'\0");

    [Theory]
    [InlineData("set client_encoding = 'SJIS'")]
    [InlineData("set names 'sjis'")]
    [InlineData("select set_config('client_encoding', 'SJIS', false)")]
    [InlineData("do $$ begin set client_encoding = 'Shift_JIS'; end $$")]
    public async Task Setting_that_hides_behind_a_character_is_gone(string set)
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler);
        await first.QueryAsync("begin");
        await first.QueryAsync(set);

        Assert.Contains("C SELECT 1", await first.AskAsync(1, Query(Hidden)));
        Assert.Equal("dirt", await first.ScalarAsync("show app.x"));
        await first.QueryAsync("commit");

        Assert.Equal("UTF8", await second.ScalarAsync(Probe));
    }

    [Theory]
    [InlineData(null, "SJIS")]
    [InlineData("SJIS", null)]
    [InlineData("SJIS", "UTF8")]
    public async Task It_is_gone_whoever_has_chosen_the_encoding(string? ofRole, string? atLogin)
    {
        var role = $"encoded_{ofRole}_{atLogin}".ToLowerInvariant();
        await fixture.ScalarAsync($"create role {role} login");
        await fixture.ScalarAsync($"alter role {role} set client_encoding = '{ofRole ?? "UTF8"}'");
        await using var pooler = fixture.StartPooler(max: 1, origin: fixture.Origin with { User = role });
        (string, string)[] settings = atLogin is null ? [] : [("client_encoding", atLogin)];
        await using var first = await WireClient.ConnectAsync(pooler, settings);
        await using var second = await WireClient.ConnectAsync(pooler, ("client_encoding", "UTF8"));

        var answers = await first.AskAsync(1, [.. Execute("reset client_encoding"u8), .. Execute(ofRole is null ? "set client_encoding = 'SJIS'"u8 : "select 1"u8), .. Execute(Hidden.AsSpan()[..^1]), .. Execute("set client_encoding = 'UTF8'"u8), .. Ask.Sync()]);

        Assert.DoesNotContain(answers, static line => line.StartsWith('E'));
        Assert.Equal("UTF8", await second.ScalarAsync(Probe));
    }

    [Fact]
    public async Task Encoding_of_one_batch_is_seen_before_the_server_reports_it()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler);

        var answers = await first.AskAsync(1, [.. Execute("set client_encoding = 'SJIS'"u8), .. Execute(Hidden.AsSpan()[..^1]), .. Execute("set client_encoding = 'UTF8'"u8), .. Ask.Sync()]);

        Assert.Contains("C SELECT 1", answers);
        Assert.Equal("UTF8", await second.ScalarAsync(Probe));
    }

    private static byte[] Query(byte[] sql) => Message('Q', sql);

    private static byte[] Execute(ReadOnlySpan<byte> sql) => [.. Message('P', [0, .. sql, 0, 0, 0]), .. Ask.Bind("", ""), .. Ask.Execute()];

    private static byte[] Message(char type, byte[] body) => [(byte)type, 0, 0, (byte)((body.Length + 4) >> 8), (byte)(body.Length + 4), .. body];
}
