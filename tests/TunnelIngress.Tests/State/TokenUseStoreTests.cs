using Microsoft.Data.Sqlite;
using TunnelIngress.Access;
using TunnelIngress.State;

namespace TunnelIngress.Tests.State;

/// <summary>The last uses of tokens in the state.</summary>
public sealed class TokenUseStoreTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_state_from_before_knows_of_no_use_and_learns_of_the_next()
    {
        var (before, token) = await FillAsync();
        await using (var connection = new SqliteConnection($"Data Source={before.Path}"))
        {
            await connection.OpenAsync(Cancel);
            await using var command = connection.CreateCommand();
            command.CommandText = "DROP TABLE token_use; PRAGMA user_version = 3";
            await command.ExecuteNonQueryAsync(Cancel);
        }

        var store = await Samples.OpenAsync(_directory.Path);
        Assert.Empty(await store.LoadUsesAsync(Cancel));
        await RecordAsync(store, Use(token, 1, 0));
        Assert.Equal([Use(token, 1, 0)], await store.LoadUsesAsync(Cancel));
    }

    [Fact]
    public async Task Of_two_ingresses_the_later_use_counts_unless_it_is_in_the_future()
    {
        var (store, token) = await FillAsync();
        await RecordAsync(store, Use(token, 1, 10));
        await RecordAsync(store, Use(token, 1, 5));
        Assert.Equal([Use(token, 1, 10)], await store.LoadUsesAsync(Cancel));

        await RecordAsync(store, Use(token, 1, 100_000));
        await RecordAsync(store, Use(token, 1, 11));
        Assert.Equal([Use(token, 1, 11)], await store.LoadUsesAsync(Cancel));
    }

    [Fact]
    public async Task The_last_use_outlives_its_secret_until_there_is_a_later_one()
    {
        var (store, token) = await FillAsync();
        await RecordAsync(store, Use(token, 1, 1));
        await store.RotateTokenAsync(token.ClientId, ClientSecret.Hash("two"), static _ => null, Samples.Now, TimeSpan.Zero, Cancel);
        await RecordAsync(store);
        Assert.Equal([Use(token, 1, 1)], await store.LoadUsesAsync(Cancel));

        await RecordAsync(store, Use(token, 2, 2));
        Assert.Equal([Use(token, 2, 2)], await store.LoadUsesAsync(Cancel));
    }

    [Fact]
    public async Task The_uses_of_a_token_that_is_removed_go_with_it_and_do_not_come_back()
    {
        var (store, token) = await FillAsync();
        await RecordAsync(store, Use(token, 1, 1));
        await store.RevokeTokenAsync(token.ClientId, Samples.Now, Cancel);
        await store.RemoveTokenAsync(token.ClientId, Samples.Now, Cancel);
        Assert.Empty(await store.LoadUsesAsync(Cancel));

        await RecordAsync(store, Use(token, 1, 2));
        Assert.Empty(await store.LoadUsesAsync(Cancel));
    }

    private static TokenUse Use(Token token, int version, int second) => new(token.ClientId, version, Samples.Now.AddSeconds(second), "192.0.2.1");

    private static Task RecordAsync(SqliteStateStore store, params TokenUse[] uses) => store.RecordUsesAsync(uses, Samples.Now.AddMinutes(1), Cancel);

    private async Task<(SqliteStateStore Store, Token Token)> FillAsync()
    {
        var (token, _) = Samples.NewToken(Samples.Access("orders-db"));
        var store = await Samples.OpenFilledAsync(_directory.Path);
        await store.AddTokenAsync(token, Cancel);
        return (store, token);
    }
}
