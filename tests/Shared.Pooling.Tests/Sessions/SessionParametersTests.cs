using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Sessions;
using Shared.Pooling.Postgres.Sql;
using Shared.Pooling.Postgres.Statements;

namespace Shared.Pooling.Tests.Sessions;

/// <summary>How much of what a client does to its session is kept.</summary>
public sealed class SessionParametersTests
{
    private const int Most = 1000;
    private const int MostCharacters = 1024 * 1024;

    [Theory]
    [InlineData(5 * Most, 10)]
    [InlineData(100, MostCharacters / 10)]
    [InlineData(2, 16 * MostCharacters)]
    public void Settings_are_bounded(int count, int length)
    {
        var parameters = new SessionParameters(SettingsSnapshot.Empty);
        var value = new string('x', length);
        for (var i = 0; i < count; i++)
        {
            Set(parameters, $"app.x{i}", value);
        }

        Assert.True(parameters.IsBeyond);
        var kept = parameters.Wanted.DifferenceFrom(SettingsSnapshot.Empty);
        Assert.InRange(kept.Length, 0, MostCharacters + Most);
        Assert.InRange(kept.Split(';').Length, 1, Most);
        parameters.Discard();
        Assert.False(parameters.IsBeyond);
    }

    [Fact]
    public void Settings_that_are_changed_or_reset_take_no_more_room()
    {
        var parameters = new SessionParameters(SettingsSnapshot.Empty);
        for (var i = 0; i < 3 * Most; i++)
        {
            Set(parameters, "app.same", new string('x', MostCharacters / 3) + i);
            Set(parameters, $"app.x{i}", "value");
            parameters.Apply(new SqlEffect(SqlEffectKind.Reset, 0, $"app.x{i}"), rolledBack: false);
        }

        Assert.False(parameters.IsBeyond);
    }

    [Fact]
    public void What_savepoints_kept_counts_until_the_transaction_ends()
    {
        var parameters = new SessionParameters(SettingsSnapshot.Empty);
        for (var i = 0; i < 100 && !parameters.IsBeyond; i++)
        {
            parameters.Apply(new SqlEffect(SqlEffectKind.Savepoint, 0, $"s{i}"), rolledBack: false);
            Set(parameters, "app.x", new string('x', MostCharacters / 2) + i);
        }

        parameters.Discard();
        Set(parameters, "app.x", "1");

        Assert.False(parameters.IsBeyond);
    }

    [Fact]
    public void What_savepoints_keep_is_bounded()
    {
        var parameters = new SessionParameters(SettingsSnapshot.Empty);
        for (var i = 0; i < 100 && !parameters.IsBeyond; i++)
        {
            parameters.Apply(new SqlEffect(SqlEffectKind.Savepoint, 0, $"s{i}"), rolledBack: false);
            Set(parameters, "app.x", new string('x', MostCharacters / 2) + i);
        }

        Assert.True(parameters.IsBeyond);
    }

    [Fact]
    public void Settings_of_many_savepoints_that_are_released_take_no_room()
    {
        var parameters = new SessionParameters(SettingsSnapshot.Empty);
        for (var i = 0; i < 20_000; i++)
        {
            parameters.Apply(new SqlEffect(SqlEffectKind.Savepoint, 0, "s"), rolledBack: false);
            Set(parameters, "app.x", new string('x', 10_000) + i);
            parameters.Apply(new SqlEffect(SqlEffectKind.Release, 0, "s"), rolledBack: false);
        }

        Assert.False(parameters.IsBeyond);
    }

    [Fact]
    public void Keys_of_long_settings_are_short_and_differ()
    {
        var (one, other) = (Snapshot("search_path", new string('a', 5000)), Snapshot("search_path", new string('a', 4999) + "b"));

        Assert.InRange(one.Meaning.Length, 1, 256);
        Assert.InRange(one.Key.Length, 1, 256);
        Assert.NotEqual(one.Meaning, other.Meaning);
        Assert.NotEqual(one.Key, other.Key);
        Assert.Equal(one.Key, Snapshot("search_path", new string('a', 5000)).Key);
        Assert.Equal("", Snapshot("application_name", "x").Meaning);
    }

    [Fact]
    public void Changes_that_are_unanswered_are_bounded()
    {
        var conversation = new Conversation(new ServerStatements(limit: 1));
        var effects = Enumerable.Repeat(new SqlEffect(SqlEffectKind.Set, 0, "app.x") { Replay = "set app.x = 1" }, Most).ToArray();
        for (var i = 0; i < 65; i++)
        {
            conversation.Ask(new PendingRequest { Kind = RequestKind.Query, Effects = effects });
        }

        conversation.Ask(new PendingRequest { Kind = RequestKind.Query, Effects = effects });
        Assert.Throws<ProtocolViolationException>(() => conversation.Ask(new PendingRequest { Kind = RequestKind.Query }));
    }

    [Fact]
    public void Changes_that_are_answered_do_not_count()
    {
        var conversation = new Conversation(new ServerStatements(limit: 1));
        using var replacement = new MessageWriter();
        var effects = Enumerable.Repeat(new SqlEffect(SqlEffectKind.Begin, 0), Most).ToArray();
        for (var i = 0; i < 200; i++)
        {
            conversation.Ask(new PendingRequest { Kind = RequestKind.Query, Effects = effects });
            conversation.Receive(BackendMessage.ReadyForQuery, "I"u8, client: null, replacement);
        }

        Assert.Equal(0, conversation.PendingCount);
    }

    [Fact]
    public void Statement_that_is_outdated_still_takes_its_room()
    {
        var statements = new ServerStatements(limit: 2);
        var (first, second, third) = (Statement("select 1"), Statement("select 2"), Statement("select 3"));
        statements.Add(first);
        statements.Outdate(first);
        Assert.False(statements.Use(first));
        statements.Add(second);

        Assert.Same(first, statements.MakeRoom(third));
        Assert.False(statements.TakeOutdated(first));
        Assert.Equal(1, statements.Count);
    }

    private static PreparedStatement Statement(string sql) =>
        PreparedStatement.Named(1, [.. System.Text.Encoding.UTF8.GetBytes(sql), 0, 0, 0], meaning: "", standardConformingStrings: true);

    private static SettingsSnapshot Snapshot(string name, string value) => SettingsSnapshot.FromStartup([new(name, value)]);

    private static void Set(SessionParameters parameters, string name, string value) =>
        parameters.Apply(new SqlEffect(SqlEffectKind.Set, 0, name) { Replay = $"set {name} = '{value}'" }, rolledBack: false);
}
