using System.Collections.Immutable;
using System.Data.Common;
using System.Text.Json;
using Dapper;
using Microsoft.Data.Sqlite;
using Shared.Pooling.Postgres.Authentication;

namespace TunnelIngress.State;

/// <summary>Reads the whole state out of its database, at one revision.</summary>
internal static class SqliteSnapshot
{
    /// <summary>Everything, in one read transaction.</summary>
    public static async Task<StateSnapshot> ReadAsync(SqliteConnection connection)
    {
#pragma warning disable CA1849 // Only this overload can ask for a read transaction: the others take the write lock.
        await using var transaction = connection.BeginTransaction(deferred: true);
#pragma warning restore CA1849
        return await ReadAsync(connection, transaction);
    }

    /// <summary>Everything as it is within a transaction.</summary>
    public static async Task<StateSnapshot> ReadAsync(SqliteConnection connection, DbTransaction transaction)
    {
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

    private static DateTimeOffset Time(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);

    private static DateTimeOffset? Time(long? milliseconds) => milliseconds is { } value ? Time(value) : null;

    private static ScramVerifier? Verifier(string? text) => text is not null && ScramVerifier.TryParse(text, out var verifier) ? verifier : null;

    private sealed record TunnelRow(string Name, long CreatedAt);

    private sealed record ServiceRow(string Name, string Hostname, string Tunnel, long CreatedAt);

    private sealed record TokenRow(string ClientId, string Name, string? ConnectTunnel, long CreatedAt, long? ExpiresAt, long? RevokedAt);

    private sealed record SecretRow(string ClientId, long Version, byte[] Hash, long? ValidUntil, string? Scram);

    private sealed record PoolRow(string Service, string Settings, byte[]? Secret, long UpdatedAt);
}
