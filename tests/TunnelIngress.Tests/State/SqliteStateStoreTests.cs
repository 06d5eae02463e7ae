using Microsoft.Data.Sqlite;
using TunnelIngress.Access;
using TunnelIngress.State;

namespace TunnelIngress.Tests.State;

public sealed class SqliteStateStoreTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task What_was_written_is_read_back_by_another_store_on_the_same_file()
    {
        var writer = await Samples.OpenFilledAsync(_directory.Path);
        var (connect, _) = Samples.NewToken(Samples.Connect("vpc"));
        var (access, _) = Samples.NewToken(Samples.Access("orders-db", "users-db"), Samples.Now.AddDays(90));
        await writer.AddTokenAsync(connect, Cancel);
        await writer.AddTokenAsync(access, Cancel);

        var state = await (await Samples.OpenAsync(_directory.Path)).LoadAsync(Cancel);

        Assert.Equal(new TunnelIngress.State.Tunnel("vpc", Samples.Now), Assert.Single(state.Tunnels.Values));
        Assert.Equal(Samples.Service("orders-db"), state.Services["orders-db"]);
        Assert.True(state.Tokens[connect.ClientId].Scope.MayConnect("vpc"));
        Assert.False(state.Tokens[connect.ClientId].Scope.MayAccess("orders-db"));
        var read = state.Tokens[access.ClientId];
        Assert.Equal(["orders-db", "users-db"], read.Scope.Services);
        Assert.Equal(Samples.Now.AddDays(90), read.ExpiresAt);
        Assert.Equal(access.Secrets[0].Hash, Assert.Single(read.Secrets).Hash);
    }

    [Fact]
    public async Task Full_disk_is_told_with_what_to_do_and_changes_nothing()
    {
        var store = await Samples.OpenFilledAsync(_directory.Path);
        var (token, _) = Samples.NewToken(Samples.Access("orders-db"));
        await store.AddTokenAsync(token, Cancel);
        await using (var connection = new SqliteConnection($"Data Source={store.Path}"))
        {
            // SQLite calls a table that has used up its row numbers full as well.
            await connection.OpenAsync(Cancel);
            await using var command = connection.CreateCommand();
            command.CommandText = """
                CREATE TABLE used_up (id INTEGER PRIMARY KEY AUTOINCREMENT);
                INSERT INTO used_up VALUES (9223372036854775807);
                CREATE TRIGGER no_space AFTER UPDATE ON revision BEGIN INSERT INTO used_up VALUES (NULL); END;
                """;
            await command.ExecuteNonQueryAsync(Cancel);
        }

        var failure = await Assert.ThrowsAsync<IOException>(() => store.RevokeTokenAsync(token.ClientId, Samples.Now, Cancel));

        Assert.StartsWith("The disk of the state is full; free some space", failure.Message, StringComparison.Ordinal);
        Assert.Contains(store.Path, failure.Message, StringComparison.Ordinal);
        Assert.Null((await store.LoadAsync(Cancel)).Tokens[token.ClientId].RevokedAt);
    }

    [Fact]
    public async Task Every_change_makes_the_revision_grow_and_a_refused_one_does_not()
    {
        var store = await Samples.OpenFilledAsync(_directory.Path);
        var (token, _) = Samples.NewToken(Samples.Access("orders-db"));
        Func<Task>[] changes =
        [
            () => store.AddTunnelAsync(new TunnelIngress.State.Tunnel("lab", Samples.Now), Cancel),
            () => store.RemoveTunnelAsync("lab", Samples.Now, Cancel),
            () => store.AddTokenAsync(token, Cancel),
            () => store.RotateTokenAsync(token.ClientId, ClientSecret.Hash("x"), static _ => null, Samples.Now, TimeSpan.FromHours(1), Cancel),
            () => store.GrantAccessAsync(token.ClientId, ["users-db"], Samples.Now, Cancel),
            () => store.WithdrawAccessAsync(token.ClientId, ["users-db"], Cancel),
            () => store.RevokeTokenAsync(token.ClientId, Samples.Now, Cancel),
            () => store.RemoveTokenAsync(token.ClientId, Samples.Now, Cancel),
            () => store.SetServiceAsync("orders-db", "orders.example.com", null, Cancel),
            () => store.RemoveServiceAsync("orders-db", Cancel),
        ];
        foreach (var change in changes)
        {
            var before = await store.GetRevisionAsync(Cancel);
            await change();
            Assert.True(await store.GetRevisionAsync(Cancel) > before);
        }

        var last = await store.GetRevisionAsync(Cancel);
        await Assert.ThrowsAsync<StateException>(() => store.AddTunnelAsync(new TunnelIngress.State.Tunnel("vpc", Samples.Now), Cancel));
        Assert.Equal(last, await store.GetRevisionAsync(Cancel));
    }

    [Fact]
    public async Task A_tunnel_with_services_or_tokens_in_force_is_not_removed_and_the_error_names_them()
    {
        var store = await Samples.OpenFilledAsync(_directory.Path);
        var (token, _) = Samples.NewToken(Samples.Connect("vpc"), Samples.Now.AddDays(1));
        await store.AddTokenAsync(token, Cancel);

        var services = await Assert.ThrowsAsync<StateException>(() => store.RemoveTunnelAsync("vpc", Samples.Now, Cancel));
        Assert.Contains("orders-db, users-db", services.Message, StringComparison.Ordinal);
        await store.RemoveServiceAsync("orders-db", Cancel);
        await store.RemoveServiceAsync("users-db", Cancel);
        var tokens = await Assert.ThrowsAsync<StateException>(() => store.RemoveTunnelAsync("vpc", Samples.Now, Cancel));
        Assert.Contains(token.ClientId, tokens.Message, StringComparison.Ordinal);

        await store.RemoveTunnelAsync("vpc", Samples.Now.AddDays(1), Cancel);
        var state = await store.LoadAsync(Cancel);
        Assert.Empty(state.Tunnels);
        Assert.Empty(state.Tokens);
    }

    [Fact]
    public async Task A_removed_service_leaves_every_scope_and_its_successor_is_not_open_to_old_tokens()
    {
        var store = await Samples.OpenFilledAsync(_directory.Path);
        var (token, _) = Samples.NewToken(Samples.Access("orders-db", "users-db"));
        await store.AddTokenAsync(token, Cancel);

        await store.RemoveServiceAsync("orders-db", Cancel);
        await store.AddServiceAsync(Samples.Service("orders-db"), Cancel);

        var read = (await store.LoadAsync(Cancel)).Tokens[token.ClientId];
        Assert.False(read.Scope.MayAccess("orders-db"));
        Assert.True(read.Scope.MayAccess("users-db"));
    }

    [Fact]
    public async Task What_does_not_exist_or_exists_already_is_refused_by_name()
    {
        var store = await Samples.OpenFilledAsync(_directory.Path);
        await RefusedAsync(() => store.AddTunnelAsync(new TunnelIngress.State.Tunnel("vpc", Samples.Now), Cancel), "vpc");
        await RefusedAsync(() => store.RemoveTunnelAsync("nowhere", Samples.Now, Cancel), "nowhere");
        await RefusedAsync(() => store.AddServiceAsync(Samples.Service("orders-db"), Cancel), "orders-db");
        await RefusedAsync(() => store.AddServiceAsync(Samples.Service("orders-db") with { Name = "other" }, Cancel), "orders-db.example.com");
        await RefusedAsync(() => store.AddServiceAsync(Samples.Service("new") with { Tunnel = "nowhere" }, Cancel), "nowhere");
        await RefusedAsync(() => store.RemoveServiceAsync("nothing", Cancel), "nothing");
        await RefusedAsync(() => store.AddTokenAsync(Samples.NewToken(Samples.Connect("nowhere")).Token, Cancel), "nowhere");
        await RefusedAsync(() => store.AddTokenAsync(Samples.NewToken(Samples.Access("nothing")).Token, Cancel), "nothing");
        await RefusedAsync(() => store.RotateTokenAsync("nobody", ClientSecret.Hash("x"), static _ => null, Samples.Now, TimeSpan.Zero, Cancel), "nobody");
        await RefusedAsync(() => store.RevokeTokenAsync("nobody", Samples.Now, Cancel), "nobody");
        Assert.Empty((await store.LoadAsync(Cancel)).Tokens);
    }

    [Fact]
    public async Task Rotation_keeps_old_secrets_for_the_overlap_at_the_longest_and_forgets_dead_ones()
    {
        var store = await Samples.OpenFilledAsync(_directory.Path);
        var (token, _) = Samples.NewToken(Samples.Access("orders-db"));
        await store.AddTokenAsync(token, Cancel);

        await store.RotateTokenAsync(token.ClientId, ClientSecret.Hash("two"), static _ => null, Samples.Now, TimeSpan.FromHours(1), Cancel);
        await store.RotateTokenAsync(token.ClientId, ClientSecret.Hash("three"), static _ => null, Samples.Now, TimeSpan.FromHours(24), Cancel);
        var secrets = await SecretsAsync(store, token);
        Assert.Equal([null, Samples.Now.AddHours(24), Samples.Now.AddHours(1)], secrets.Select(static secret => secret.ValidUntil));

        await store.RotateTokenAsync(token.ClientId, ClientSecret.Hash("four"), static _ => null, Samples.Now.AddHours(1), TimeSpan.Zero, Cancel);
        var only = Assert.Single(await SecretsAsync(store, token));
        Assert.Equal(4, only.Version);
        Assert.Equal(ClientSecret.Hash("four"), only.Hash);
    }

    [Fact]
    public async Task Rotation_is_refused_for_a_dead_token_and_beyond_the_bound_of_valid_secrets()
    {
        var store = await Samples.OpenFilledAsync(_directory.Path);
        var (token, _) = Samples.NewToken(Samples.Access("orders-db"), Samples.Now.AddDays(1));
        await store.AddTokenAsync(token, Cancel);
        Task RotateAsync(DateTimeOffset now, TimeSpan overlap) => store.RotateTokenAsync(token.ClientId, ClientSecret.Hash("x"), static _ => null, now, overlap, Cancel);

        for (var i = 1; i < TokenSecret.MaxValid; i++)
        {
            await RotateAsync(Samples.Now, TimeSpan.FromHours(1));
        }

        await RefusedAsync(() => RotateAsync(Samples.Now, TimeSpan.FromHours(1)), "--overlap 0s");
        Assert.Equal(TokenSecret.MaxValid, (await SecretsAsync(store, token)).Count);
        await RotateAsync(Samples.Now, TimeSpan.Zero);
        await RefusedAsync(() => RotateAsync(Samples.Now.AddDays(1), TimeSpan.Zero), "expired");
        await store.RevokeTokenAsync(token.ClientId, Samples.Now, Cancel);
        await RefusedAsync(() => RotateAsync(Samples.Now, TimeSpan.Zero), "revoked");
    }

    [Fact]
    public async Task Revoking_twice_keeps_the_first_time()
    {
        var store = await Samples.OpenFilledAsync(_directory.Path);
        var (token, _) = Samples.NewToken(Samples.Connect("vpc"));
        await store.AddTokenAsync(token, Cancel);
        await store.RevokeTokenAsync(token.ClientId, Samples.Now, Cancel);
        await store.RevokeTokenAsync(token.ClientId, Samples.Now.AddDays(1), Cancel);

        var read = (await store.LoadAsync(Cancel)).Tokens[token.ClientId];
        Assert.Equal(Samples.Now, read.RevokedAt);
        Assert.False(read.IsUsableAt(Samples.Now));
    }

    [Fact]
    public async Task Access_is_granted_to_good_tokens_of_applications_only_and_changes_as_a_whole()
    {
        var store = await Samples.OpenFilledAsync(_directory.Path);
        var (token, _) = Samples.NewToken(Samples.Access("orders-db"), Samples.Now.AddDays(1));
        var (connector, _) = Samples.NewToken(Samples.Connect("vpc"));
        await store.AddTokenAsync(token, Cancel);
        await store.AddTokenAsync(connector, Cancel);

        await RefusedAsync(() => store.GrantAccessAsync(connector.ClientId, ["orders-db"], Samples.Now, Cancel), "vpc");
        await RefusedAsync(() => store.GrantAccessAsync(token.ClientId, ["users-db", "nothing"], Samples.Now, Cancel), "nothing");
        await RefusedAsync(() => store.GrantAccessAsync(token.ClientId, ["users-db"], Samples.Now.AddDays(1), Cancel), "expired");
        await RefusedAsync(() => store.WithdrawAccessAsync(token.ClientId, ["orders-db", "users-db"], Cancel), "users-db");
        Assert.Equal(["orders-db"], (await store.LoadAsync(Cancel)).Tokens[token.ClientId].Scope.Services);

        await store.RevokeTokenAsync(token.ClientId, Samples.Now, Cancel);
        await RefusedAsync(() => store.GrantAccessAsync(token.ClientId, ["users-db"], Samples.Now, Cancel), "revoked");
        await store.WithdrawAccessAsync(token.ClientId, ["orders-db"], Cancel);
        Assert.Empty((await store.LoadAsync(Cancel)).Tokens[token.ClientId].Scope.Services);
    }

    [Fact]
    public async Task A_token_is_removed_when_it_is_dead_and_not_before()
    {
        var store = await Samples.OpenFilledAsync(_directory.Path);
        var (expiring, _) = Samples.NewToken(Samples.Access("orders-db"), Samples.Now.AddDays(1));
        var (revoked, _) = Samples.NewToken(Samples.Connect("vpc"));
        await store.AddTokenAsync(expiring, Cancel);
        await store.AddTokenAsync(revoked, Cancel);
        await RefusedAsync(() => store.RemoveTokenAsync(expiring.ClientId, Samples.Now, Cancel), "token revoke");
        await RefusedAsync(() => store.RemoveTokenAsync(revoked.ClientId, Samples.Now, Cancel), "token revoke");

        await store.RemoveTokenAsync(expiring.ClientId, Samples.Now.AddDays(1), Cancel);
        await store.RevokeTokenAsync(revoked.ClientId, Samples.Now, Cancel);
        await store.RemoveTokenAsync(revoked.ClientId, Samples.Now, Cancel);

        Assert.Empty((await store.LoadAsync(Cancel)).Tokens);
    }

    [Fact]
    public async Task Many_writers_and_readers_on_one_file_lose_nothing_and_each_reader_sees_whole_revisions()
    {
        var first = await Samples.OpenFilledAsync(_directory.Path);
        var start = await first.GetRevisionAsync(Cancel);
        const int Writers = 4;
        const int Each = 10;
        var writing = Enumerable.Range(0, Writers).Select(writer => Task.Run(async () =>
        {
            var store = await Samples.OpenAsync(_directory.Path);
            for (var i = 0; i < Each; i++)
            {
                await store.AddTunnelAsync(new TunnelIngress.State.Tunnel($"t-{writer}-{i}", Samples.Now), Cancel);
            }
        })).ToArray();
        var all = Task.WhenAll(writing);
        while (!all.IsCompleted)
        {
            var state = await first.LoadAsync(Cancel);
            Assert.Equal(state.Revision - start, state.Tunnels.Count - 1);
        }

        await all;
        Assert.Equal((Writers * Each) + 1, (await first.LoadAsync(Cancel)).Tunnels.Count);
    }

    [Fact]
    public async Task Files_and_directory_are_for_the_owner_alone()
    {
        var directory = _directory.Combine("a/state");
        var store = await Samples.OpenFilledAsync(directory);

        Assert.Equal("700", TemporaryDirectory.Mode(directory));
        Assert.Equal("600", TemporaryDirectory.Mode(store.Path));
        Assert.Equal("600", TemporaryDirectory.Mode(store.Path + "-wal"));
    }

    private static async Task<IReadOnlyList<TokenSecret>> SecretsAsync(SqliteStateStore store, Token token) =>
        (await store.LoadAsync(Cancel)).Tokens[token.ClientId].Secrets;

    private static async Task RefusedAsync(Func<Task> change, string named) =>
        Assert.Contains(named, (await Assert.ThrowsAsync<StateException>(change)).Message, StringComparison.Ordinal);
}
