using System.Text;
using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Postgres.Sessions;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>Settings with characters beyond ASCII are what the client has set, on any connection, whatever encoding the client before it used.</summary>
public sealed class SettingEncodingTests(PoolFixture fixture)
{
    private const string Name = "Zoë";
    private const string InHex = "select encode(convert_to(current_setting('app.x', true), 'UTF8'), 'hex')";
    private static readonly string Hex = Convert.ToHexStringLower(Encoding.UTF8.GetBytes(Name));

    [Theory]
    [InlineData("LATIN1")]
    [InlineData("SQL_ASCII")]
    [InlineData("WIN1252")]
    public async Task Setting_follows_to_a_connection_that_a_client_of_another_encoding_has_had(string other)
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler, ("client_encoding", other));
        await first.QueryAsync($"set app.x = '{Name}'");
        Assert.Equal(other, await second.ScalarAsync("show client_encoding"));

        Assert.Equal(Hex, await first.ScalarAsync(InHex));

        Assert.Equal("UTF8", await first.ScalarAsync("show client_encoding"));
        Assert.Equal(other, await second.ScalarAsync("show client_encoding"));
        Assert.Equal("", await second.ScalarAsync("select coalesce(current_setting('app.x', true), '')"));
    }

    [Fact]
    public async Task Setting_follows_a_client_that_changes_its_encoding_afterwards()
    {
        await using var pooler = fixture.StartPooler(max: 1);
        await using var first = await WireClient.ConnectAsync(pooler);
        await using var second = await WireClient.ConnectAsync(pooler);
        await first.QueryAsync($"set app.x = '{Name}'");
        await first.QueryAsync("set client_encoding = 'LATIN1'");
        await second.QueryAsync("discard all");

        var answers = await first.AskAsync(1, Ask.Query(InHex));

        Assert.Contains($"D {Hex}", answers);
        Assert.DoesNotContain(answers, static line => line.StartsWith('S'));
        Assert.Equal("LATIN1", await first.ScalarAsync("show client_encoding"));
    }

    [Fact]
    public async Task Client_of_another_encoding_that_sets_more_than_ASCII_keeps_its_connection()
    {
        var time = new FakeTimeProvider();
        await using var pooler = fixture.StartImpatientPooler(time);
        await using var first = await WireClient.ConnectAsync(pooler, ("client_encoding", "LATIN1"));
        await using var second = await WireClient.ConnectAsync(pooler);

        await first.AskAsync(1, Latin1Query($"set app.x = '{Name}'"));

        Assert.Contains("53300", await time.PassUntilAsync(second.ScalarAsync("select 1")), StringComparison.Ordinal);
        Assert.Equal(Hex, await first.ScalarAsync(InHex));
        await first.QueryAsync("discard all");
        Assert.Equal("", await second.ScalarAsync("select coalesce(current_setting('app.x', true), '')"));
    }

    [Fact]
    public async Task Where_nobody_may_keep_a_connection_it_is_told_and_ended()
    {
        await using var pooler = fixture.StartPooler(max: 1, options: new PostgresPoolOptions { Refuse = Pins.Listen });
        await using var first = await WireClient.ConnectAsync(pooler, ("client_encoding", "LATIN1"));
        await using var second = await WireClient.ConnectAsync(pooler);

        var answers = await first.AskUntilClosedAsync(Latin1Query($"set app.x = '{Name}'"));

        Assert.Contains(answers, static line => line.StartsWith("E FATAL 54000", StringComparison.Ordinal));
        Assert.Equal("", await second.ScalarAsync("select coalesce(current_setting('app.x', true), '')"));
    }

    private static byte[] Latin1Query(string sql)
    {
        var text = Encoding.Latin1.GetBytes(sql);
        return [(byte)'Q', 0, 0, 0, (byte)(text.Length + 5), .. text, 0];
    }
}
