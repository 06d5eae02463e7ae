using Shared.Hosting.Configuration;
using Shared.Pooling.Hosting;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Clients;

namespace TunnelPooler.Pooling;

/// <summary>
/// Who may connect: the users of the configuration, and those that a pool's database knows. A pool is found by the name of the database
/// that a client asks for. Safe for concurrent use.
/// </summary>
internal sealed class PoolerDirectory : IClientDirectory, IAsyncDisposable
{
    private readonly Dictionary<string, ClientCredential> _users;
    private readonly Dictionary<string, HashSet<string>> _allowed;
    private readonly Dictionary<string, AuthQuery> _queries;

    /// <param name="options">Users, and what pools allow them.</param>
    /// <param name="queries">The pools whose users are looked up, and how.</param>
    /// <param name="time">The clock.</param>
    /// <exception cref="ConfigurationException">A user has no password, or several.</exception>
    public PoolerDirectory(PoolerOptions options, IReadOnlyDictionary<string, (PoolDefinition Definition, string Query)> queries, TimeProvider time)
    {
        _users = options.Users.ToDictionary(static user => user.Key, user => CredentialOf($"Users:{user.Key}", user.Value, options.Tls), StringComparer.Ordinal);
        _allowed = options.Pools.ToDictionary(static pool => pool.Key, static pool => pool.Value.AllowUsers.ToHashSet(StringComparer.Ordinal), StringComparer.Ordinal);
        _queries = queries.ToDictionary(static pool => pool.Key, pool => new AuthQuery(pool.Value.Definition.Origin, pool.Value.Query, time), StringComparer.Ordinal);
    }

    /// <inheritdoc/>
    public async ValueTask<ClientAdmission> FindAsync(ClientRequest request, CancellationToken cancellationToken)
    {
        var pool = _allowed.ContainsKey(request.Database) ? request.Database : PoolerPools.AnyName;
        var credential = _users.GetValueOrDefault(request.User);
        if (credential is null && _queries.TryGetValue(pool, out var query))
        {
            credential = await query.FindAsync(request.User, request.Remote, cancellationToken);
        }

        return new ClientAdmission(pool, request.Database, credential)
        {
            Refusal = _allowed.TryGetValue(pool, out var allowed) && allowed.Count > 0 && !allowed.Contains(request.User)
                ? $"user \"{request.User}\" may not use pool \"{pool}\"; AllowUsers in its configuration lists who may"
                : null,
        };
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var query in _queries.Values)
        {
            await query.DisposeAsync();
        }
    }

    private static ClientCredential CredentialOf(string key, PoolerUserOptions options, PoolerTlsOptions tls)
    {
        var password = PasswordSetting.Read($"{key}:PasswordFile", options.PasswordFile, options.Password);
        if ((password is null ? 0 : 1) + (options.Verifier is null ? 0 : 1) + (options.Certificate ? 1 : 0) != 1)
        {
            throw new ConfigurationException(key, "Give the user one of PasswordFile, Password (from the environment), Verifier and Certificate.");
        }

        if (options.Certificate)
        {
            return tls.ClientCaFile is not null
                ? new ClientCredential { ByCertificate = true }
                : throw new ConfigurationException("Tls:ClientCaFile", $"{key} logs in by certificate; name who signs the certificates.");
        }

        return password is not null
            ? ClientCredential.FromPassword(password)
            : ClientCredential.FromStored(options.Verifier!)
                ?? throw new ConfigurationException($"{key}:Verifier", "That is no verifier. Copy it from pg_authid: SCRAM-SHA-256$… or md5….");
    }
}
