using System.Collections.Immutable;
using System.Data.Common;
using System.Text.Json;
using Dapper;
using Microsoft.Data.Sqlite;
using Shared.Pooling.Postgres.Authentication;

namespace TunnelIngress.State;

/// <summary>The state in one SQLite file: durable before a change returns (WAL, synchronous=FULL), readable by its owner only.</summary>
internal sealed class SqliteStateStore : IStateStore
{
    private const int ConstraintViolation = 19;
    private const int BusyTimeoutSeconds = 10;

    private readonly string _directory;
    private readonly string _connectionString;

    /// <summary>Names the store; nothing is opened yet.</summary>
    /// <param name="directory">The state directory; made with mode 0700 when it does not exist.</param>
    public SqliteStateStore(string directory)
    {
        _directory = directory;
        Path = System.IO.Path.Combine(directory, "tunnel.db");
        _connectionString = new SqliteConnectionStringBuilder
        {
            DataSource = Path,
            ForeignKeys = true,
            DefaultTimeout = BusyTimeoutSeconds,
        }.ToString();
    }

    /// <summary>The database file.</summary>
    public string Path { get; }

    /// <inheritdoc/>
    public async Task InitializeAsync(CancellationToken cancellationToken)
    {
        try
        {
            PrivateFiles.CreateDirectory(_directory);
            PrivateFiles.CreateIfAbsent(Path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"The state in {_directory} cannot be opened: {exception.Message} Choose another directory with --state.", exception);
        }

        await WithConnectionAsync(
            async connection =>
            {
                await connection.ExecuteAsync("PRAGMA journal_mode = WAL");
                await SqliteMigrations.ApplyAsync(connection, cancellationToken);
                return true;
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    public Task<long> GetRevisionAsync(CancellationToken cancellationToken) =>
        WithConnectionAsync(static connection => connection.ExecuteScalarAsync<long>("SELECT value FROM revision"), cancellationToken);

    /// <inheritdoc/>
    public Task<StateSnapshot> LoadAsync(CancellationToken cancellationToken) => WithConnectionAsync(ReadAllAsync, cancellationToken);

    private static async Task<StateSnapshot> ReadAllAsync(SqliteConnection connection)
    {
#pragma warning disable CA1849 // Only this overload can ask for a read transaction: the others take the write lock.
        await using var transaction = connection.BeginTransaction(deferred: true);
#pragma warning restore CA1849
        var revision = await connection.ExecuteScalarAsync<long>("SELECT value FROM revision", transaction: transaction);
        var tunnels = await connection.QueryAsync<TunnelRow>("SELECT name, created_at AS CreatedAt FROM tunnel", transaction: transaction);
        var services = await connection.QueryAsync<ServiceRow>(
            "SELECT name, hostname, tunnel, created_at AS CreatedAt FROM service", transaction: transaction);
        var webs = (await connection.QueryAsync<WebRow>(
            "SELECT service, tls, is_public AS IsPublic, host_header AS HostHeader, verify, ca, server_name AS ServerName, idle_seconds AS IdleSeconds FROM web",
            transaction: transaction)).ToDictionary(static row => row.Service, static row => row.ToOrigin(), StringComparer.Ordinal);
        var scopes = (await connection.QueryAsync<(string ClientId, string Service)>(
            "SELECT client_id, service FROM token_service", transaction: transaction)).ToLookup(static row => row.ClientId, static row => row.Service);
        var secrets = (await connection.QueryAsync<SecretRow>(
            "SELECT client_id AS ClientId, version, hash, valid_until AS ValidUntil, scram FROM token_secret", transaction: transaction)).ToLookup(static row => row.ClientId);
        var tokens = await connection.QueryAsync<TokenRow>(
            """
            SELECT client_id AS ClientId, name, connect_tunnel AS ConnectTunnel, created_at AS CreatedAt, expires_at AS ExpiresAt, revoked_at AS RevokedAt
            FROM token
            """,
            transaction: transaction);
        var pools = await connection.QueryAsync<PoolRow>("SELECT service, settings, secret, updated_at AS UpdatedAt FROM pool", transaction: transaction);
        return new StateSnapshot(
            revision,
            tunnels.Select(static row => new Tunnel(row.Name, Time(row.CreatedAt))),
            services.Select(row => new Service(row.Name, row.Hostname, row.Tunnel, Time(row.CreatedAt)) { Web = webs.GetValueOrDefault(row.Name) }),
            tokens.Select(row => new Token(
                row.ClientId,
                row.Name,
                new TokenScope(row.ConnectTunnel, scopes[row.ClientId].ToImmutableSortedSet(StringComparer.Ordinal)),
                Time(row.CreatedAt),
                Time(row.ExpiresAt),
                Time(row.RevokedAt),
                [.. secrets[row.ClientId].OrderByDescending(static secret => secret.Version).Select(static secret =>
                    new TokenSecret((int)secret.Version, [.. secret.Hash], Time(secret.ValidUntil)) { Scram = Verifier(secret.Scram) })])),
            pools.Select(static row => new ServicePool(
                row.Service,
                JsonSerializer.Deserialize<Dictionary<string, string>>(row.Settings)!.ToImmutableSortedDictionary(StringComparer.OrdinalIgnoreCase),
                [.. row.Secret ?? []],
                Time(row.UpdatedAt))));
    }

    /// <inheritdoc/>
    public Task AddTunnelAsync(Tunnel tunnel, CancellationToken cancellationToken) => ChangeAsync(
        (connection, transaction) => connection.ExecuteAsync(
            "INSERT INTO tunnel (name, created_at) VALUES (@Name, @At)",
            new { tunnel.Name, At = Milliseconds(tunnel.CreatedAt) },
            transaction),
        $"There is a tunnel '{tunnel.Name}' already.",
        cancellationToken);

    /// <inheritdoc/>
    public Task RemoveTunnelAsync(string name, DateTimeOffset now, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            var services = await connection.QueryAsync<string>("SELECT name FROM service WHERE tunnel = @name", new { name }, transaction);
            Require(!services.Any(), $"Tunnel '{name}' still owns services ({string.Join(", ", services)}). Remove them first with 'tunnel-ingress service remove'.");
            var usable = await connection.QueryAsync<string>(
                """
                SELECT client_id FROM token
                WHERE connect_tunnel = @name AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > @now)
                """,
                new { name, now = Milliseconds(now) },
                transaction);
            Require(!usable.Any(), $"Tokens still connect tunnel '{name}' ({string.Join(", ", usable)}). Revoke them first with 'tunnel-ingress token revoke'.");
            // Only dead ones are left. They go with it: without their tunnel nobody could tell what they were for.
            const string Dead = "(SELECT client_id FROM token WHERE connect_tunnel = @name)";
            await connection.ExecuteAsync(
                $"DELETE FROM token_secret WHERE client_id IN {Dead}; DELETE FROM token WHERE connect_tunnel = @name", new { name }, transaction);
            var removed = await connection.ExecuteAsync("DELETE FROM tunnel WHERE name = @name", new { name }, transaction);
            Require(removed == 1, $"There is no tunnel '{name}'. See 'tunnel-ingress tunnel list'.");
        },
        "",
        cancellationToken);

    /// <inheritdoc/>
    public Task AddServiceAsync(Service service, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            await RequireExistsAsync(connection, transaction, "tunnel", service.Tunnel);
            await connection.ExecuteAsync(
                "INSERT INTO service (name, hostname, tunnel, created_at) VALUES (@Name, @Hostname, @Tunnel, @At)",
                new { service.Name, service.Hostname, service.Tunnel, At = Milliseconds(service.CreatedAt) },
                transaction);
            await InsertWebAsync(connection, transaction, service.Name, service.Web);
        },
        $"There is a service '{service.Name}' or a hostname '{service.Hostname}' already. See 'tunnel-ingress service list'.",
        cancellationToken);

    /// <inheritdoc/>
    public Task SetWebAsync(string service, WebOrigin? web, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            await RequireExistsAsync(connection, transaction, "service", service);
            await connection.ExecuteAsync("DELETE FROM web WHERE service = @service", new { service }, transaction);
            await InsertWebAsync(connection, transaction, service, web);
        },
        "",
        cancellationToken);

    /// <inheritdoc/>
    public Task RemoveServiceAsync(string name, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            var removed = await connection.ExecuteAsync("DELETE FROM service WHERE name = @name", new { name }, transaction);
            Require(removed == 1, $"There is no service '{name}'. See 'tunnel-ingress service list'.");
        },
        "",
        cancellationToken);

    /// <inheritdoc/>
    public Task SetPoolAsync(ServicePool pool, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            await RequireExistsAsync(connection, transaction, "service", pool.Service);
            await connection.ExecuteAsync(
                """
                INSERT INTO pool (service, settings, secret, updated_at) VALUES (@Service, @Settings, @Secret, @At)
                ON CONFLICT (service) DO UPDATE SET settings = excluded.settings, secret = excluded.secret, updated_at = excluded.updated_at
                """,
                new
                {
                    pool.Service,
                    Settings = JsonSerializer.Serialize(pool.Settings.ToDictionary()),
                    Secret = pool.Secret.IsEmpty ? null : pool.Secret.ToArray(),
                    At = Milliseconds(pool.UpdatedAt),
                },
                transaction);
        },
        "",
        cancellationToken);

    /// <inheritdoc/>
    public Task RemovePoolAsync(string service, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            var removed = await connection.ExecuteAsync("DELETE FROM pool WHERE service = @service", new { service }, transaction);
            Require(removed == 1, $"Service '{service}' has no pool. See 'tunnel-ingress pool list'.");
        },
        "",
        cancellationToken);

    /// <inheritdoc/>
    public Task AddTokenAsync(Token token, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            if (token.Scope.ConnectTunnel is { } tunnel)
            {
                await RequireExistsAsync(connection, transaction, "tunnel", tunnel);
            }

            await connection.ExecuteAsync(
                "INSERT INTO token (client_id, name, connect_tunnel, created_at, expires_at) VALUES (@ClientId, @Name, @ConnectTunnel, @At, @Expires)",
                new { token.ClientId, token.Name, token.Scope.ConnectTunnel, At = Milliseconds(token.CreatedAt), Expires = Milliseconds(token.ExpiresAt) },
                transaction);
            foreach (var service in token.Scope.Services)
            {
                await RequireExistsAsync(connection, transaction, "service", service);
                await connection.ExecuteAsync(
                    "INSERT INTO token_service (client_id, service) VALUES (@ClientId, @service)", new { token.ClientId, service }, transaction);
            }

            foreach (var secret in token.Secrets)
            {
                await InsertSecretAsync(connection, transaction, token.ClientId, secret.Version, secret.Hash, secret.Scram);
            }
        },
        "A token with this client id exists already.",
        cancellationToken);

    /// <inheritdoc/>
    public Task RotateTokenAsync(
        string clientId, ImmutableArray<byte> hash, ScramVerifier? scram, DateTimeOffset now, TimeSpan overlap, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            await RequireTokenAsync(connection, transaction, clientId);
            var of = new { clientId, now = Milliseconds(now), until = Milliseconds(now + overlap) };
            var (revoked, expires) = await connection.QuerySingleAsync<(long?, long?)>(
                "SELECT revoked_at, expires_at FROM token WHERE client_id = @clientId", of, transaction);
            Require(revoked is null, $"Token '{clientId}' is revoked; create a new one.");
            Require(expires is not { } expiry || of.now < expiry, $"Token '{clientId}' is expired; create a new one.");
            var version = await connection.ExecuteScalarAsync<int>(
                "SELECT MAX(version) + 1 FROM token_secret WHERE client_id = @clientId", of, transaction);
            await connection.ExecuteAsync(
                """
                UPDATE token_secret SET valid_until = MIN(COALESCE(valid_until, @until), @until) WHERE client_id = @clientId;
                DELETE FROM token_secret WHERE client_id = @clientId AND valid_until <= @now
                """,
                of,
                transaction);
            var valid = await connection.ExecuteScalarAsync<int>("SELECT COUNT(*) FROM token_secret WHERE client_id = @clientId", of, transaction);
            Require(
                valid < TokenSecret.MaxValid,
                $"Token '{clientId}' has {valid} valid secrets already. Wait until the overlap of one is over, or end all of them at once with --overlap 0s.");
            await InsertSecretAsync(connection, transaction, clientId, version, hash, scram);
        },
        "",
        cancellationToken);

    /// <inheritdoc/>
    public Task RevokeTokenAsync(string clientId, DateTimeOffset at, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            await RequireTokenAsync(connection, transaction, clientId);
            await connection.ExecuteAsync(
                "UPDATE token SET revoked_at = COALESCE(revoked_at, @at) WHERE client_id = @clientId",
                new { clientId, at = Milliseconds(at) },
                transaction);
        },
        "",
        cancellationToken);

    /// <summary>One change: begin (taking the write lock) → change → revision → commit.</summary>
    private async Task ChangeAsync(Func<SqliteConnection, DbTransaction, Task> change, string conflict, CancellationToken cancellationToken) => await WithConnectionAsync(
        async connection =>
        {
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            try
            {
                await change(connection, transaction);
            }
            catch (SqliteException exception) when (exception.SqliteErrorCode == ConstraintViolation && conflict.Length > 0)
            {
                throw new StateException(conflict);
            }

            await connection.ExecuteAsync("UPDATE revision SET value = value + 1", transaction: transaction);
            await transaction.CommitAsync(cancellationToken);
            return true;
        },
        cancellationToken);

    /// <summary>One piece of work on a connection of its own; SQLite's errors (locked, full, damaged) come out naming the file.</summary>
    private async Task<T> WithConnectionAsync<T>(Func<SqliteConnection, Task<T>> work, CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = new SqliteConnection(_connectionString);
            await connection.OpenAsync(cancellationToken);
            await connection.ExecuteAsync("PRAGMA synchronous = FULL");
            return await work(connection);
        }
        catch (SqliteException exception)
        {
            throw new IOException($"The state in {Path} failed: {exception.Message}", exception);
        }
    }

    private static Task<int> InsertSecretAsync(
        SqliteConnection connection, DbTransaction transaction, string clientId, int version, ImmutableArray<byte> hash, ScramVerifier? scram) =>
        connection.ExecuteAsync(
            "INSERT INTO token_secret (client_id, version, hash, scram) VALUES (@clientId, @version, @hash, @scram)",
            new { clientId, version, hash = hash.ToArray(), scram = scram?.ToString() },
            transaction);

    private static async Task InsertWebAsync(SqliteConnection connection, DbTransaction transaction, string service, WebOrigin? web)
    {
        if (web is not null)
        {
            await connection.ExecuteAsync(
                """
                INSERT INTO web (service, tls, is_public, host_header, verify, ca, server_name, idle_seconds)
                VALUES (@Service, @Tls, @IsPublic, @HostHeader, @Verify, @Ca, @ServerName, @IdleSeconds)
                """,
                WebRow.From(service, web),
                transaction);
        }
    }

    private static async Task RequireExistsAsync(SqliteConnection connection, DbTransaction transaction, string kind, string name)
    {
        var found = await connection.ExecuteScalarAsync<int>($"SELECT COUNT(*) FROM {kind} WHERE name = @name", new { name }, transaction);
        Require(found == 1, $"There is no {kind} '{name}'. See 'tunnel-ingress {kind} list'.");
    }

    private static async Task RequireTokenAsync(SqliteConnection connection, DbTransaction transaction, string clientId)
    {
        var found = await connection.ExecuteScalarAsync<int>(
            "SELECT COUNT(*) FROM token WHERE client_id = @clientId", new { clientId }, transaction);
        Require(found == 1, $"There is no token '{clientId}'. See 'tunnel-ingress token list'.");
    }

    private static void Require(bool condition, string otherwise)
    {
        if (!condition)
        {
            throw new StateException(otherwise);
        }
    }

    private static long Milliseconds(DateTimeOffset time) => time.ToUnixTimeMilliseconds();

    private static long? Milliseconds(DateTimeOffset? time) => time?.ToUnixTimeMilliseconds();

    private static DateTimeOffset Time(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);

    private static DateTimeOffset? Time(long? milliseconds) => milliseconds is { } value ? Time(value) : null;

    private static ScramVerifier? Verifier(string? text) => text is not null && ScramVerifier.TryParse(text, out var verifier) ? verifier : null;

    private sealed record TunnelRow(string Name, long CreatedAt);

    private sealed record ServiceRow(string Name, string Hostname, string Tunnel, long CreatedAt);

    private sealed record TokenRow(string ClientId, string Name, string? ConnectTunnel, long CreatedAt, long? ExpiresAt, long? RevokedAt);

    private sealed record SecretRow(string ClientId, long Version, byte[] Hash, long? ValidUntil, string? Scram);

    private sealed record WebRow(
        string Service, long Tls, long IsPublic, string? HostHeader, long Verify, string? Ca, string? ServerName, long IdleSeconds)
    {
        public static WebRow From(string service, WebOrigin web) => new(
            service, web.Tls ? 1 : 0, web.Access == WebAccess.Public ? 1 : 0, web.HostHeader, web.Verify ? 1 : 0, web.Ca, web.ServerName,
            (long)web.IdleTimeout.TotalSeconds);

        public WebOrigin ToOrigin() => new(
            Tls != 0, IsPublic != 0 ? WebAccess.Public : WebAccess.ServiceToken, HostHeader, Verify != 0, Ca, ServerName, TimeSpan.FromSeconds(IdleSeconds));
    }

    private sealed record PoolRow(string Service, string Settings, byte[]? Secret, long UpdatedAt);
}
