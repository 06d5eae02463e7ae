using System.Collections.Immutable;
using System.Data.Common;
using System.Runtime.InteropServices;
using Dapper;

namespace TunnelIngress.State;

/// <summary>Reads rows into the immutable records, inside the caller's transaction, so that all of them are of one revision.</summary>
internal static class SqliteSnapshotReader
{
    public static async Task<StateSnapshot> ReadAsync(DbTransaction transaction, CancellationToken cancellationToken)
    {
        var revision = await transaction.Connection!.ExecuteScalarAsync<long>(
            new CommandDefinition("SELECT value FROM revision", transaction: transaction, cancellationToken: cancellationToken));
        var tunnels = await QueryAsync<TunnelRow>(
            transaction, "SELECT name AS Name, created_at AS CreatedAt FROM tunnels ORDER BY name", null, cancellationToken);
        var services = await QueryAsync<ServiceRow>(
            transaction,
            "SELECT name AS Name, hostname AS Hostname, tunnel AS Tunnel, created_at AS CreatedAt FROM services ORDER BY name",
            null,
            cancellationToken);
        var tokens = await ReadTokensAsync(transaction, null, cancellationToken);
        return new StateSnapshot(
            revision,
            [.. tunnels.Select(row => new Tunnel(row.Name, FromMilliseconds(row.CreatedAt)))],
            [.. services.Select(row => new Service(row.Name, row.Hostname, row.Tunnel, FromMilliseconds(row.CreatedAt)))],
            tokens);
    }

    /// <summary>All tokens, or the one of <paramref name="clientId"/>; oldest first.</summary>
    public static async Task<ImmutableArray<Token>> ReadTokensAsync(
        DbTransaction transaction, string? clientId, CancellationToken cancellationToken)
    {
        var filter = new { clientId };
        var tokens = await QueryAsync<TokenRow>(
            transaction,
            """
            SELECT client_id AS ClientId, name AS Name, connect_tunnel AS ConnectTunnel,
                   created_at AS CreatedAt, expires_at AS ExpiresAt, revoked_at AS RevokedAt
            FROM tokens WHERE @clientId IS NULL OR client_id = @clientId ORDER BY created_at, client_id
            """,
            filter,
            cancellationToken);
        var secrets = (await QueryAsync<SecretRow>(
            transaction,
            """
            SELECT client_id AS ClientId, version AS Version, hash AS Hash, created_at AS CreatedAt, valid_until AS ValidUntil
            FROM token_secrets WHERE @clientId IS NULL OR client_id = @clientId ORDER BY version
            """,
            filter,
            cancellationToken)).ToLookup(row => row.ClientId);
        var services = (await QueryAsync<TokenServiceRow>(
            transaction,
            """
            SELECT client_id AS ClientId, service AS Service
            FROM token_services WHERE @clientId IS NULL OR client_id = @clientId ORDER BY service
            """,
            filter,
            cancellationToken)).ToLookup(row => row.ClientId, row => row.Service);

        return [.. tokens.Select(row => new Token(
            row.ClientId,
            row.Name,
            row.ConnectTunnel is { } tunnel ? new TokenScope.Connect(tunnel) : new TokenScope.Access([.. services[row.ClientId]]),
            FromMilliseconds(row.CreatedAt),
            FromMilliseconds(row.ExpiresAt),
            FromMilliseconds(row.RevokedAt),
            [.. secrets[row.ClientId].Select(ToSecret)]))];
    }

    private static TokenSecret ToSecret(SecretRow row) => new(
        (int)row.Version,
        ImmutableCollectionsMarshal.AsImmutableArray(row.Hash),
        FromMilliseconds(row.CreatedAt),
        FromMilliseconds(row.ValidUntil));

    private static async Task<List<T>> QueryAsync<T>(
        DbTransaction transaction, string sql, object? parameters, CancellationToken cancellationToken) =>
        (await transaction.Connection!.QueryAsync<T>(
            new CommandDefinition(sql, parameters, transaction, cancellationToken: cancellationToken))).AsList();

    private static DateTimeOffset FromMilliseconds(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);

    private static DateTimeOffset? FromMilliseconds(long? milliseconds) => milliseconds is { } value ? FromMilliseconds(value) : null;

    private sealed record TunnelRow
    {
        public required string Name { get; init; }

        public required long CreatedAt { get; init; }
    }

    private sealed record ServiceRow
    {
        public required string Name { get; init; }

        public required string Hostname { get; init; }

        public required string Tunnel { get; init; }

        public required long CreatedAt { get; init; }
    }

    private sealed record TokenRow
    {
        public required string ClientId { get; init; }

        public required string Name { get; init; }

        public string? ConnectTunnel { get; init; }

        public required long CreatedAt { get; init; }

        public long? ExpiresAt { get; init; }

        public long? RevokedAt { get; init; }
    }

    private sealed record SecretRow
    {
        public required string ClientId { get; init; }

        public required long Version { get; init; }

        public required byte[] Hash { get; init; }

        public required long CreatedAt { get; init; }

        public long? ValidUntil { get; init; }
    }

    private sealed record TokenServiceRow
    {
        public required string ClientId { get; init; }

        public required string Service { get; init; }
    }
}
