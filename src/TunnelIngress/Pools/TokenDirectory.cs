using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using Shared.Pooling.Postgres.Clients;
using Shared.Streams.Sockets;
using TunnelIngress.Access;
using TunnelIngress.Applications;
using TunnelIngress.State;

namespace TunnelIngress.Pools;

/// <summary>
/// Applications that speak PostgreSQL to the ingress: the user is a service token's client id, the password its client secret. The service is
/// that of the hostname asked for in TLS; without one, the database's name is the service's, or service/database. A token that is not good for
/// the service fails as one that does not exist. Safe for concurrent use.
/// </summary>
internal sealed class TokenDirectory(StateWatcher state, AccessCheck access, TimeProvider time) : IClientDirectory
{
    /// <summary>A name that no service has.</summary>
    private const string Nowhere = "";

    /// <summary>Who is connected, by where he connects from.</summary>
    private readonly ConcurrentDictionary<string, (AcceptedToken Token, IPAddress? From)> _clients = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public ValueTask<ClientAdmission> FindAsync(ClientRequest request, CancellationToken cancellationToken)
    {
        var snapshot = state.Current;
        var (service, database) = Asked(snapshot, request);
        var token = snapshot.Tokens.GetValueOrDefault(request.User);
        var pool = service is not null && Serves(snapshot, service, ref database, request) ? service : Nowhere;
        if (service is null || token is null || SecretsFor(token, service) is not { IsEmpty: false } secrets)
        {
            return new(new ClientAdmission(pool, database, null));
        }

        // A client is told one salt. Secrets from before pools have none, and the first one after them has a salt of its own.
        return new(new ClientAdmission(pool, database, new ClientCredential { Verifiers = [.. secrets.Select(static secret => secret.Scram!)] })
        {
            OnProven = verifier => Proven(new AcceptedToken(token, secrets[verifier].Version), request.Remote),
        });
    }

    /// <summary>Notes that the clients that have proven who they are still use their tokens.</summary>
    public void NoteUses(DateTimeOffset now)
    {
        foreach (var (token, from) in _clients.Values)
        {
            access.NoteUse(token, from, now);
        }
    }

    /// <summary>A client has left.</summary>
    public void Forget(string remote) => _clients.TryRemove(remote, out _);

    /// <summary>True while a client that was let in may stay.</summary>
    public bool MayStay(string user, string service, DateTimeOffset now) =>
        state.Current.Tokens.TryGetValue(user, out var token) && token.IsUsableAt(now) && token.Scope.MayAccess(service);

    private static (string? Service, string Database) Asked(StateSnapshot snapshot, ClientRequest request)
    {
        if (request.ServerName is { } hostname && snapshot.FindByHostname(hostname) is { } named)
        {
            return (named.Name, request.Database);
        }

        var slash = request.Database.IndexOf('/', StringComparison.Ordinal);
        var (service, database) = slash < 0 ? (request.Database, request.Database) : (request.Database[..slash], request.Database[(slash + 1)..]);
        return (snapshot.Services.ContainsKey(service) ? service : null, database);
    }

    // A pool of one database gives no other; a client that names none, or the service, means that one.
    private static bool Serves(StateSnapshot snapshot, string service, ref string database, ClientRequest request)
    {
        if (!snapshot.Pools.TryGetValue(service, out var pool) || !pool.Settings.TryGetValue("Database", out var only) || only.Length == 0)
        {
            return true;
        }

        var isServed = database == only || database == service || database == request.User;
        database = only;
        return isServed;
    }

    private ImmutableArray<TokenSecret> SecretsFor(Token token, string service)
    {
        var now = time.GetUtcNow();
        return token.IsUsableAt(now) && token.Scope.MayAccess(service)
            ? [.. token.Secrets.Where(secret => secret.IsValidAt(now) && secret.Scram is not null)]
            : [];
    }

    private void Proven(AcceptedToken token, string remote)
    {
        var from = RemoteNetwork.AddressOf(remote);
        _clients[remote] = (token, from);
        access.NoteUse(token, from, time.GetUtcNow());
    }
}
