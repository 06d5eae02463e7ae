using System.Collections.Immutable;
using Shared.Streams.Access;
using TunnelIngress.Access;
using TunnelIngress.State;

namespace TunnelIngress.Tests.State;

/// <summary>State that most tests need, and the secrets that belong to it.</summary>
internal static class Samples
{
    public static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    /// <summary>A token that connects the tunnel vpc, as it was accepted.</summary>
    public static AcceptedToken Accepted => new(NewToken(Connect("vpc")).Token, 1);

    public static async Task<SqliteStateStore> OpenAsync(string directory)
    {
        var store = new SqliteStateStore(directory, SqliteStateStore.CommandBusyTimeoutSeconds);
        await store.InitializeAsync(TestContext.Current.CancellationToken);
        return store;
    }

    /// <summary>A store with the tunnel vpc that owns the services orders-db and users-db.</summary>
    public static async Task<SqliteStateStore> OpenFilledAsync(string directory)
    {
        var store = await OpenAsync(directory);
        var cancel = TestContext.Current.CancellationToken;
        await store.AddTunnelAsync(new TunnelIngress.State.Tunnel("vpc", Now), cancel);
        await store.AddServiceAsync(Service("orders-db"), cancel);
        await store.AddServiceAsync(Service("users-db"), cancel);
        return store;
    }

    public static Task SetServiceAsync(this IStateStore store, string name, string hostname, WebOrigin? web, CancellationToken cancellationToken) =>
        store.SetServiceAsync(name, service => service with { Hostname = hostname, Web = web }, cancellationToken);

    public static Task SetPoolAsync(this IStateStore store, ServicePool pool, CancellationToken cancellationToken) =>
        store.SetPoolAsync(pool.Service, _ => pool, cancellationToken);

    public static Service Service(string name) => new(name, $"{name}.example.com", "vpc", Now);

    public static TokenScope Connect(string tunnel) => new(tunnel, []);

    public static TokenScope Access(params string[] services) => new(null, services.ToImmutableSortedSet(StringComparer.Ordinal));

    public static (Token Token, ServiceToken Held) NewToken(TokenScope scope, DateTimeOffset? expiresAt = null)
    {
        var held = ClientSecret.NewToken();
        return (new Token(held.ClientId, "a-token", scope, Now, expiresAt, null, [new TokenSecret(1, ClientSecret.Hash(held.ClientSecret), null)]), held);
    }

    public static StateSnapshot Snapshot(params Token[] tokens) =>
        new(1, [new TunnelIngress.State.Tunnel("vpc", Now)], [Service("orders-db"), Service("users-db")], tokens);
}
