using System.Collections.Immutable;
using System.Data.Common;
using System.Runtime.InteropServices;
using Dapper;

namespace TunnelIngress.State;

/// <summary>The state in an embedded SQLite file: the default, for one ingress and the command line beside it.</summary>
internal sealed class SqliteStateStore : IStateStore
{
    private readonly SqliteDatabase _database;

    private SqliteStateStore(SqliteDatabase database) => _database = database;

    /// <inheritdoc cref="SqliteDatabase.OpenAsync"/>
    public static async Task<SqliteStateStore> OpenAsync(string stateDirectory, CancellationToken cancellationToken) =>
        new(await SqliteDatabase.OpenAsync(stateDirectory, cancellationToken));

    public Task<long> GetRevisionAsync(CancellationToken cancellationToken) => _database.RunAsync(
        (connection, token) => connection.ExecuteScalarAsync<long>(
            new CommandDefinition("SELECT value FROM revision", cancellationToken: token)),
        cancellationToken);

    public Task<StateSnapshot> LoadAsync(CancellationToken cancellationToken) => _database.RunAsync(
        async (connection, token) =>
        {
            await using var transaction = SqliteDatabase.BeginRead(connection);
            return await SqliteSnapshotReader.ReadAsync(transaction, token);
        },
        cancellationToken);

    public Task AddTunnelAsync(Tunnel tunnel, CancellationToken cancellationToken)
    {
        StateRules.CheckName("tunnel", tunnel.Name);
        return ChangeAsync(
            async change =>
            {
                if (await change.ExistsAsync("SELECT 1 FROM tunnels WHERE name = @Name", tunnel))
                {
                    throw StateRules.AlreadyExists("tunnel", tunnel.Name);
                }

                await change.ExecuteAsync(
                    "INSERT INTO tunnels (name, created_at) VALUES (@Name, @createdAt)",
                    new { tunnel.Name, createdAt = Milliseconds(tunnel.CreatedAt) });
                return true;
            },
            cancellationToken);
    }

    public Task RemoveTunnelAsync(string name, DateTimeOffset now, CancellationToken cancellationToken) => ChangeAsync(
        async change =>
        {
            await RequireTunnelAsync(change, name);
            var services = await change.QueryAsync<string>("SELECT name FROM services WHERE tunnel = @name ORDER BY name", new { name });
            if (services.Count > 0)
            {
                throw new StateException(
                    StateError.InUse,
                    $"Tunnel '{name}' still has services. Remove them first: {string.Join(", ", services.Select(service => $"service remove {service}"))}");
            }

            var tokens = await change.QueryAsync<string>(
                """
                SELECT client_id FROM tokens
                WHERE connect_tunnel = @name AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > @now) ORDER BY created_at
                """,
                new { name, now = Milliseconds(now) });
            if (tokens.Count > 0)
            {
                throw new StateException(
                    StateError.InUse,
                    $"Tunnel '{name}' still has tokens in force. Revoke them first: {string.Join(", ", tokens.Select(token => $"token revoke {token}"))}");
            }

            await change.ExecuteAsync("DELETE FROM tunnels WHERE name = @name", new { name });
            return true;
        },
        cancellationToken);

    public Task AddServiceAsync(Service service, CancellationToken cancellationToken)
    {
        StateRules.Check(service);
        var hostname = Hostname.Normalize(service.Hostname);
        return ChangeAsync(
            async change =>
            {
                await RequireTunnelAsync(change, service.Tunnel);
                if (await change.ExistsAsync("SELECT 1 FROM services WHERE name = @Name", service))
                {
                    throw StateRules.AlreadyExists("service", service.Name);
                }

                var owners = await change.QueryAsync<string>("SELECT name FROM services WHERE hostname = @hostname", new { hostname });
                if (owners.Count > 0)
                {
                    throw new StateException(
                        StateError.AlreadyExists, $"The hostname '{hostname}' already belongs to the service '{owners[0]}': choose another one.");
                }

                await change.ExecuteAsync(
                    "INSERT INTO services (name, hostname, tunnel, created_at) VALUES (@Name, @hostname, @Tunnel, @createdAt)",
                    new { service.Name, hostname, service.Tunnel, createdAt = Milliseconds(service.CreatedAt) });
                return true;
            },
            cancellationToken);
    }

    public Task<ImmutableArray<Token>> RemoveServiceAsync(string name, CancellationToken cancellationToken) => ChangeAsync(
        async change =>
        {
            var tokens = await change.ReadTokensAsync(null);
            if (await change.ExecuteAsync("DELETE FROM services WHERE name = @name", new { name }) == 0)
            {
                throw StateRules.NotFound("service", name);
            }

            return tokens.Where(token => token.MayAccess(name)).ToImmutableArray();
        },
        cancellationToken);

    public Task AddTokenAsync(Token token, CancellationToken cancellationToken)
    {
        StateRules.Check(token);
        return ChangeAsync(
            async change =>
            {
                if (await change.ExistsAsync("SELECT 1 FROM tokens WHERE client_id = @ClientId", token))
                {
                    throw StateRules.AlreadyExists("token", token.ClientId);
                }

                var tunnel = (token.Scope as TokenScope.Connect)?.Tunnel;
                if (tunnel is not null)
                {
                    await RequireTunnelAsync(change, tunnel);
                }

                await change.ExecuteAsync(
                    """
                    INSERT INTO tokens (client_id, name, connect_tunnel, created_at, expires_at, revoked_at)
                    VALUES (@ClientId, @Name, @tunnel, @createdAt, @expiresAt, @revokedAt)
                    """,
                    new
                    {
                        token.ClientId,
                        token.Name,
                        tunnel,
                        createdAt = Milliseconds(token.CreatedAt),
                        expiresAt = Milliseconds(token.ExpiresAt),
                        revokedAt = Milliseconds(token.RevokedAt),
                    });
                await AddScopeAsync(change, token);
                foreach (var secret in token.Secrets)
                {
                    await AddSecretAsync(change, token.ClientId, secret);
                }

                return true;
            },
            cancellationToken);
    }

    public Task<Token> RotateTokenAsync(
        string clientId, ImmutableArray<byte> newSecretHash, DateTimeOffset now, TimeSpan overlap, CancellationToken cancellationToken) => ChangeAsync(
        async change =>
        {
            var token = await RequireTokenAsync(change, clientId);
            StateRules.CheckRotation(token, now, overlap);
            var times = new { clientId, now = Milliseconds(now), until = Milliseconds(now + overlap) };
            await change.ExecuteAsync(
                "UPDATE token_secrets SET valid_until = min(coalesce(valid_until, @until), @until) WHERE client_id = @clientId", times);
            await change.ExecuteAsync("DELETE FROM token_secrets WHERE client_id = @clientId AND valid_until <= @now", times);
            await AddSecretAsync(change, clientId, new TokenSecret(token.Secrets.Max(secret => secret.Version) + 1, newSecretHash, now, null));
            return await RequireTokenAsync(change, clientId);
        },
        cancellationToken);

    public Task<Token> RevokeTokenAsync(string clientId, DateTimeOffset now, CancellationToken cancellationToken) => ChangeAsync(
        async change =>
        {
            await RequireTokenAsync(change, clientId);
            await change.ExecuteAsync(
                "UPDATE tokens SET revoked_at = @now WHERE client_id = @clientId AND revoked_at IS NULL",
                new { clientId, now = Milliseconds(now) });
            return await RequireTokenAsync(change, clientId);
        },
        cancellationToken);

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    private static long Milliseconds(DateTimeOffset time) => time.ToUnixTimeMilliseconds();

    private static long? Milliseconds(DateTimeOffset? time) => time?.ToUnixTimeMilliseconds();

    private static async Task RequireTunnelAsync(Change change, string name)
    {
        if (!await change.ExistsAsync("SELECT 1 FROM tunnels WHERE name = @name", new { name }))
        {
            throw StateRules.NotFound("tunnel", name);
        }
    }

    private static async Task<Token> RequireTokenAsync(Change change, string clientId)
    {
        var tokens = await change.ReadTokensAsync(clientId);
        return tokens.IsEmpty ? throw StateRules.NotFound("token", clientId) : tokens[0];
    }

    private static async Task AddScopeAsync(Change change, Token token)
    {
        if (token.Scope is not TokenScope.Access access)
        {
            return;
        }

        foreach (var service in access.Services.Distinct(StringComparer.Ordinal))
        {
            if (!await change.ExistsAsync("SELECT 1 FROM services WHERE name = @service", new { service }))
            {
                throw StateRules.NotFound("service", service);
            }

            await change.ExecuteAsync(
                "INSERT INTO token_services (client_id, service) VALUES (@ClientId, @service)", new { token.ClientId, service });
        }
    }

    private static Task<int> AddSecretAsync(Change change, string clientId, TokenSecret secret) => change.ExecuteAsync(
        """
        INSERT INTO token_secrets (client_id, version, hash, created_at, valid_until)
        VALUES (@clientId, @Version, @hash, @createdAt, @validUntil)
        """,
        new
        {
            clientId,
            secret.Version,
            hash = ImmutableCollectionsMarshal.AsArray(secret.Hash),
            createdAt = Milliseconds(secret.CreatedAt),
            validUntil = Milliseconds(secret.ValidUntil),
        });

    private Task<T> ChangeAsync<T>(Func<Change, Task<T>> apply, CancellationToken cancellationToken) => _database.RunAsync(
        async (connection, token) =>
        {
            await using var transaction = await SqliteDatabase.BeginWriteAsync(connection, token);
            var change = new Change(transaction, token);
            var result = await apply(change);
            await change.ExecuteAsync("UPDATE revision SET value = value + 1", null);
            await transaction.CommitAsync(token);
            return result;
        },
        cancellationToken);

    /// <summary>One mutation's transaction.</summary>
    private sealed class Change(DbTransaction transaction, CancellationToken cancellationToken)
    {
        public Task<int> ExecuteAsync(string sql, object? parameters) => transaction.Connection!.ExecuteAsync(Command(sql, parameters));

        public async Task<List<T>> QueryAsync<T>(string sql, object? parameters) =>
            (await transaction.Connection!.QueryAsync<T>(Command(sql, parameters))).AsList();

        public async Task<bool> ExistsAsync(string sql, object? parameters) =>
            await transaction.Connection!.ExecuteScalarAsync<long?>(Command(sql, parameters)) is not null;

        public Task<ImmutableArray<Token>> ReadTokensAsync(string? clientId) =>
            SqliteSnapshotReader.ReadTokensAsync(transaction, clientId, cancellationToken);

        private CommandDefinition Command(string sql, object? parameters) =>
            new(sql, parameters, transaction, cancellationToken: cancellationToken);
    }
}
