using System.Collections.Immutable;
using System.Data.Common;
using Dapper;
using Microsoft.Data.Sqlite;
using Shared.Pooling.Postgres.Authentication;
using static TunnelIngress.State.SqliteRequirements;

namespace TunnelIngress.State;

/// <content>Service tokens, their secrets, and when these were used.</content>
internal sealed partial class SqliteStateStore
{
    /// <summary>Uses can wait for the next minute, and the ingress's end must not wait for them.</summary>
    private const int RecordTimeoutSeconds = 2;

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
            await InsertAccessAsync(connection, transaction, token.ClientId, token.Scope.Services);

            foreach (var secret in token.Secrets)
            {
                await InsertSecretAsync(connection, transaction, token.ClientId, secret.Version, secret.Hash, secret.Scram);
            }
        },
        "A token with this client id exists already.",
        cancellationToken);

    /// <inheritdoc/>
    public Task RotateTokenAsync(
        string clientId, ImmutableArray<byte> hash, Func<Token, ScramVerifier?> scram, DateTimeOffset now, TimeSpan overlap, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            await RequireUsableAsync(connection, transaction, clientId, now);
            var verifier = scram((await SqliteSnapshot.ReadAsync(connection, transaction)).Tokens[clientId]);
            var of = new { clientId, now = Milliseconds(now), until = Milliseconds(now + overlap) };
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
            await InsertSecretAsync(connection, transaction, clientId, version, hash, verifier);
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

    /// <inheritdoc/>
    public Task RemoveTokenAsync(string clientId, DateTimeOffset now, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            Require(
                await FaultOfTokenAsync(connection, transaction, clientId, now) is not null,
                $"Token '{clientId}' is still good. Revoke it first with 'tunnel-ingress token revoke {clientId}', which cuts whoever uses it.");
            await connection.ExecuteAsync(
                """
                DELETE FROM token_service WHERE client_id = @clientId;
                DELETE FROM token_secret WHERE client_id = @clientId;
                DELETE FROM token WHERE client_id = @clientId
                """,
                new { clientId },
                transaction);
        },
        "",
        cancellationToken);

    /// <inheritdoc/>
    public Task GrantAccessAsync(string clientId, IReadOnlyCollection<string> services, DateTimeOffset now, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            await RequireUsableAsync(connection, transaction, clientId, now);
            var tunnel = await connection.ExecuteScalarAsync<string?>("SELECT connect_tunnel FROM token WHERE client_id = @clientId", new { clientId }, transaction);
            Require(tunnel is null, $"Token '{clientId}' connects tunnel '{tunnel}' and accesses nothing. Create another one with 'tunnel-ingress token create NAME --access'.");
            await InsertAccessAsync(connection, transaction, clientId, services);
        },
        "",
        cancellationToken);

    /// <inheritdoc/>
    public Task WithdrawAccessAsync(string clientId, IReadOnlyCollection<string> services, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            await RequireTokenAsync(connection, transaction, clientId);
            foreach (var service in services)
            {
                var removed = await connection.ExecuteAsync(
                    "DELETE FROM token_service WHERE client_id = @clientId AND service = @service", new { clientId, service }, transaction);
                Require(removed == 1, $"Token '{clientId}' has no access to '{service}'. See 'tunnel-ingress token list'.");
            }
        },
        "",
        cancellationToken);

    /// <inheritdoc/>
    public async Task RecordUsesAsync(IReadOnlyCollection<TokenUse> uses, DateTimeOffset now, CancellationToken cancellationToken) => await WithConnectionAsync(
        async connection =>
        {
            connection.DefaultTimeout = RecordTimeoutSeconds;
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            foreach (var use in uses)
            {
                // Another ingress may have seen a later use. One from the future was written by a clock that was wrong.
                await connection.ExecuteAsync(
                    """
                    INSERT INTO token_use (client_id, version, used_at, used_from)
                    SELECT client_id, @Version, @At, @From FROM token WHERE client_id = @ClientId
                    ON CONFLICT (client_id, version) DO UPDATE SET used_at = excluded.used_at, used_from = excluded.used_from
                    WHERE excluded.used_at > used_at OR used_at > @Now
                    """,
                    new { use.ClientId, use.Version, At = Milliseconds(use.At), use.From, Now = Milliseconds(now) },
                    transaction);
            }

            // Of secrets that are gone, only what nothing later is known of.
            await connection.ExecuteAsync(
                """
                DELETE FROM token_use
                WHERE (client_id, version) NOT IN (SELECT client_id, version FROM token_secret)
                AND used_at < (SELECT MAX(other.used_at) FROM token_use AS other WHERE other.client_id = token_use.client_id)
                """,
                transaction: transaction);
            await transaction.CommitAsync(cancellationToken);
            return true;
        },
        cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<TokenUse>> LoadUsesAsync(CancellationToken cancellationToken) => WithConnectionAsync<IReadOnlyList<TokenUse>>(
        static async connection =>
        {
            var rows = await connection.QueryAsync<(string ClientId, long Version, long At, string From)>("SELECT client_id, version, used_at, used_from FROM token_use");
            return [.. rows.Select(static row => new TokenUse(row.ClientId, (int)row.Version, DateTimeOffset.FromUnixTimeMilliseconds(row.At), row.From))];
        },
        cancellationToken);

    private static Task<int> InsertSecretAsync(
        SqliteConnection connection, DbTransaction transaction, string clientId, int version, ImmutableArray<byte> hash, ScramVerifier? scram) =>
        connection.ExecuteAsync(
            "INSERT INTO token_secret (client_id, version, hash, scram) VALUES (@clientId, @version, @hash, @scram)",
            new { clientId, version, hash = hash.ToArray(), scram = scram?.ToString() },
            transaction);

    private static async Task InsertAccessAsync(SqliteConnection connection, DbTransaction transaction, string clientId, IReadOnlyCollection<string> services)
    {
        foreach (var service in services)
        {
            await RequireExistsAsync(connection, transaction, "service", service);
            await connection.ExecuteAsync(
                "INSERT OR IGNORE INTO token_service (client_id, service) VALUES (@clientId, @service)", new { clientId, service }, transaction);
        }
    }
}
