using System.Text.Json;
using TunnelIngress.State;
using TunnelIngress.Tests.State;

namespace TunnelIngress.Tests.Administration;

/// <summary>Service tokens and their files.</summary>
public sealed class TokenCommandTests : CommandTest
{
    [Fact]
    public async Task A_token_that_is_made_says_where_it_is_recorded_and_when_it_is_good()
    {
        await FillAsync();
        var shown = await DoAsync("token", "create", "app", "--access", "orders-db");
        var written = await DoAsync("token", "create", "app", "--access", "orders-db", "--output", State.Combine("app.token"));
        Assert.All([shown, written], result =>
            Assert.Contains($"Recorded in the state in {State.Path}; an ingress that runs on it knows it within 2 seconds.", result.Output, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_tokens_access_is_granted_and_withdrawn()
    {
        await FillAsync();
        var id = (await JsonAsync("token", "create", "app", "--access", "orders-db")).GetProperty("clientId").GetString()!;
        Assert.Contains("access orders-db, users-db", (await DoAsync("token", "grant", id, "--access", "users-db", "orders-db")).Output, StringComparison.Ordinal);
        Assert.Equal(["orders-db", "users-db"], (await LoadAsync()).Tokens[id].Scope.Services);

        Assert.Contains("access users-db.", (await DoAsync("token", "withdraw", id, "--access", "orders-db")).Output, StringComparison.Ordinal);
        await DoAsync("token", "withdraw", id, "--access", "users-db");
        Assert.Matches("app +access nothing +active", (await DoAsync("token", "list")).Output);
    }

    [Fact]
    public async Task A_token_is_removed_once_it_is_revoked()
    {
        await FillAsync();
        var id = (await JsonAsync("token", "create", "app", "--access", "orders-db")).GetProperty("clientId").GetString()!;
        Assert.Contains($"token revoke {id}", (await RefusedAsync(1, "token", "remove", id)).Error, StringComparison.Ordinal);
        Assert.Contains(id, (await LoadAsync()).Tokens.Keys);

        await DoAsync("token", "revoke", id);
        await DoAsync("token", "remove", id);
        Assert.Empty((await JsonAsync("token", "list")).EnumerateArray());
    }

    [Fact]
    public async Task A_secret_is_shown_once_and_is_in_no_list()
    {
        await FillAsync();
        var created = await JsonAsync("token", "create", "app", "--access", "orders-db");
        var secret = created.GetProperty("clientSecret").GetString()!;
        var rotated = await JsonAsync("token", "rotate", created.GetProperty("clientId").GetString()!);
        var second = rotated.GetProperty("clientSecret").GetString()!;
        Assert.NotEqual(secret, second);

        foreach (var list in new[] { await DoAsync("token", "list"), await DoAsync("token", "list", "--json") })
        {
            Assert.Contains("app", list.Output, StringComparison.Ordinal);
            Assert.DoesNotContain("tunnel_", list.Output, StringComparison.Ordinal);
            Assert.DoesNotContain("hash", list.Output, StringComparison.OrdinalIgnoreCase);
        }

        var file = await File.ReadAllBytesAsync(new SqliteStateStore(State.Path).Path, Cancel);
        Assert.Equal(-1, file.AsSpan().IndexOf(System.Text.Encoding.UTF8.GetBytes(secret)));
    }

    [Fact]
    public async Task A_token_file_is_for_its_owner_alone_and_its_secret_is_not_shown()
    {
        await FillAsync();
        var file = State.Combine("app.token");
        var created = await DoAsync("token", "create", "app", "--access", "orders-db", "users-db", "--output", file);

        var (id, secret) = await ReadTokenAsync(file);
        Assert.Equal("600", TemporaryDirectory.Mode(file));
        Assert.StartsWith("tunnel_", secret, StringComparison.Ordinal);
        Assert.DoesNotContain(secret, created.Output + created.Error, StringComparison.Ordinal);
        Assert.Contains(id, created.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_does_not_overwrite_a_file_and_makes_no_token_then()
    {
        await FillAsync();
        var file = State.Combine("precious");
        await File.WriteAllTextAsync(file, "precious", Cancel);

        var refused = await RefusedAsync(1, "token", "create", "app", "--connect", "vpc", "--output", file);

        Assert.Contains(file, refused.Error, StringComparison.Ordinal);
        Assert.Equal("precious", await File.ReadAllTextAsync(file, Cancel));
        Assert.Equal([file], Directory.GetFiles(State.Path, "precious*"));
        Assert.Empty((await JsonAsync("token", "list")).EnumerateArray());
    }

    [Fact]
    public async Task A_refused_create_leaves_no_file()
    {
        await FillAsync();
        await RefusedAsync(1, "token", "create", "app", "--connect", "nowhere", "--output", State.Combine("app.token"));
        Assert.Empty(Directory.GetFiles(State.Path, "*.token*"));
    }

    [Fact]
    public async Task Rotate_replaces_the_file_and_keeps_the_old_secret_valid_for_a_day()
    {
        await FillAsync();
        var file = State.Combine("app.token");
        await DoAsync("token", "create", "app", "--access", "orders-db", "--output", file);
        var (id, before) = await ReadTokenAsync(file);

        await DoAsync("token", "rotate", id, "--output", file);

        var (_, after) = await ReadTokenAsync(file);
        Assert.NotEqual(before, after);
        Assert.Equal("600", TemporaryDirectory.Mode(file));
        Assert.Single(Directory.GetFiles(State.Path, "app.token*"));
        var secrets = (await LoadAsync()).Tokens[id].Secrets;
        Assert.Equal(2, secrets.Length);
        Assert.InRange(secrets[1].ValidUntil!.Value, DateTimeOffset.UtcNow.AddHours(23), DateTimeOffset.UtcNow.AddHours(24));
    }

    [Fact]
    public async Task Rotate_whose_file_cannot_be_written_changes_nothing()
    {
        await FillAsync();
        var created = await JsonAsync("token", "create", "app", "--access", "orders-db");
        var id = created.GetProperty("clientId").GetString()!;
        var before = await LoadAsync();

        await RefusedAsync(1, "token", "rotate", id, "--overlap", "0s", "--output", State.Combine("no/such/app.token"));

        Assert.Equal(before.Revision, (await LoadAsync()).Revision);
    }

    [Fact]
    public async Task Rotate_without_overlap_ends_the_old_secret_at_once_and_revoke_ends_all()
    {
        await FillAsync();
        var id = (await JsonAsync("token", "create", "app", "--access", "orders-db")).GetProperty("clientId").GetString()!;
        await DoAsync("token", "rotate", id, "--overlap", "0s");
        Assert.Single((await LoadAsync()).Tokens[id].Secrets);

        await DoAsync("token", "revoke", id);
        Assert.Contains("revoked", (await DoAsync("token", "list")).Output, StringComparison.Ordinal);
        Assert.Contains("revoked", (await RefusedAsync(1, "token", "rotate", id)).Error, StringComparison.Ordinal);
    }

    private static async Task<(string Id, string Secret)> ReadTokenAsync(string file)
    {
        using var document = JsonDocument.Parse(await File.ReadAllTextAsync(file, Cancel));
        return (document.RootElement.GetProperty("clientId").GetString()!, document.RootElement.GetProperty("clientSecret").GetString()!);
    }
}
