using System.Data.Common;
using Dapper;
using Microsoft.Data.Sqlite;

namespace TunnelIngress.State;

/// <summary>What a change requires of the state, asked within its transaction; what is not so is a <see cref="StateException"/>.</summary>
internal static class SqliteRequirements
{
    public static async Task RequireExistsAsync(SqliteConnection connection, DbTransaction transaction, string kind, string name)
    {
        var found = await connection.ExecuteScalarAsync<int>($"SELECT COUNT(*) FROM {kind} WHERE name = @name", new { name }, transaction);
        Require(found == 1, $"There is no {kind} '{name}'. See 'tunnel-ingress {kind} list'.");
    }

    /// <summary>Null while a token is good; otherwise what ended it.</summary>
    public static async Task<string?> FaultOfTokenAsync(SqliteConnection connection, DbTransaction transaction, string clientId, DateTimeOffset now)
    {
        await RequireTokenAsync(connection, transaction, clientId);
        var (revoked, expires) = await connection.QuerySingleAsync<(long?, long?)>(
            "SELECT revoked_at, expires_at FROM token WHERE client_id = @clientId", new { clientId }, transaction);
        return revoked is not null ? "revoked" : expires <= now.ToUnixTimeMilliseconds() ? "expired" : null;
    }

    public static async Task RequireUsableAsync(SqliteConnection connection, DbTransaction transaction, string clientId, DateTimeOffset now)
    {
        var fault = await FaultOfTokenAsync(connection, transaction, clientId, now);
        Require(fault is null, $"Token '{clientId}' is {fault}; create a new one.");
    }

    public static async Task RequireTokenAsync(SqliteConnection connection, DbTransaction transaction, string clientId)
    {
        var found = await connection.ExecuteScalarAsync<int>(
            "SELECT COUNT(*) FROM token WHERE client_id = @clientId", new { clientId }, transaction);
        Require(found == 1, $"There is no token '{clientId}'. See 'tunnel-ingress token list'.");
    }

    public static void Require(bool condition, string otherwise)
    {
        if (!condition)
        {
            throw new StateException(otherwise);
        }
    }
}
