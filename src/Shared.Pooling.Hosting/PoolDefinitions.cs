using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Shared.Hosting.Configuration;
using Shared.Pooling.Pools;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Sessions;

namespace Shared.Pooling.Hosting;

/// <summary>Checks what is written of a pool.</summary>
public static class PoolDefinitions
{
    private const int LongestTime = 30 * 86_400;

    /// <summary>The pool that options describe.</summary>
    /// <param name="prefix">What stands before their keys, for errors: <c>Pools:orders:</c>, or nothing.</param>
    /// <param name="options">The options.</param>
    /// <param name="access">How its database is reached.</param>
    /// <exception cref="ConfigurationException">Names the first key that is wrong.</exception>
    public static PoolDefinition From(string prefix, PooledDatabaseOptions options, OriginAccess access)
    {
        var origin = new OriginOptions
        {
            Dialer = access.Dialer,
            Database = options.Database ?? "",
            User = options.User ?? "",
            Password = access.Password,
            Tls = TlsOf($"{prefix}Tls", options.Tls),
            ServerName = options.ServerName ?? access.Host,
            Roots = access.Roots,
            ClientCertificate = access.ClientCertificate,
            RequireChannelBinding = options.RequireChannelBinding,
            AllowUnverifiedPassword = options.AllowUnverifiedPassword,
            IsLocal = access.IsLocal,
            ConnectTimeout = SettingChecks.Seconds($"{prefix}ConnectTimeoutSeconds", options.ConnectTimeoutSeconds, 1, 300),
        };
        var pool = PoolFrom(prefix, options);
        return new PoolDefinition(origin, pool)
        {
            AnyDatabase = string.IsNullOrEmpty(options.Database),
            PerUser = string.IsNullOrEmpty(options.User),
            Version = VersionOf(origin, pool, access),
        };
    }

    private static PostgresPoolOptions PoolFrom(string prefix, PooledDatabaseOptions options) => new()
    {
        Mode = Enum.TryParse<PoolMode>(options.Mode, ignoreCase: true, out var mode)
            ? mode
            : throw new ConfigurationException($"{prefix}Mode", $"'{options.Mode}' is no mode; write transaction, session or statement."),
        PreparedStatements = SettingChecks.Within($"{prefix}PreparedStatements", options.PreparedStatements, 1, 100_000),
        Refuse = Refused($"{prefix}Refuse", options.Refuse),
        QueryTimeout = SettingChecks.Seconds($"{prefix}QueryTimeoutSeconds", options.QueryTimeoutSeconds, 0, LongestTime),
        IdleTimeout = SettingChecks.Seconds($"{prefix}ClientIdleTimeoutSeconds", options.ClientIdleTimeoutSeconds, 0, LongestTime),
        IdleInTransactionTimeout = SettingChecks.Seconds($"{prefix}IdleInTransactionTimeoutSeconds", options.IdleInTransactionTimeoutSeconds, 0, LongestTime),
        StallTimeout = SettingChecks.Seconds($"{prefix}ClientStallTimeoutSeconds", options.ClientStallTimeoutSeconds, 0, LongestTime),
        Connections = new PoolOptions
        {
            Max = SettingChecks.Within($"{prefix}Max", options.Max, 1, 10_000),
            Min = SettingChecks.Within($"{prefix}Min", options.Min, 0, options.Max),
            Reserve = SettingChecks.Within($"{prefix}Reserve", options.Reserve, 0, 10_000),
            WaitTimeout = SettingChecks.Seconds($"{prefix}QueryWaitTimeoutSeconds", options.QueryWaitTimeoutSeconds, 1, LongestTime),
            IdleTimeout = SettingChecks.Seconds($"{prefix}ServerIdleTimeoutSeconds", options.ServerIdleTimeoutSeconds, 1, LongestTime),
            Lifetime = SettingChecks.Seconds($"{prefix}ServerLifetimeSeconds", options.ServerLifetimeSeconds, 1, LongestTime),
        },
    };

    // A hash, because there is a password in it.
    private static string VersionOf(OriginOptions origin, PostgresPoolOptions pool, OriginAccess access)
    {
        string?[] parts =
        [
            access.Version, origin.Database, origin.User, origin.Password, origin.Tls.ToString(), origin.ServerName,
            string.Join(',', origin.Roots?.Select(static root => root.Thumbprint) ?? []), origin.ClientCertificate?.Thumbprint,
            origin.RequireChannelBinding.ToString(CultureInfo.InvariantCulture), origin.AllowUnverifiedPassword.ToString(CultureInfo.InvariantCulture), origin.ConnectTimeout.ToString(), pool.ToString(),
        ];
        return Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', parts))));
    }

    private static OriginTls TlsOf(string key, string text) => text switch
    {
        "disable" => OriginTls.Disable,
        "prefer" => OriginTls.Prefer,
        "require" => OriginTls.Require,
        "verify-ca" => OriginTls.VerifyCa,
        "verify-full" => OriginTls.VerifyFull,
        _ => throw new ConfigurationException(key, $"'{text}' is no TLS mode; write disable, prefer, require, verify-ca or verify-full."),
    };

    private static Pins Refused(string key, List<string> names)
    {
        var refused = Pins.None;
        foreach (var name in names)
        {
            refused |= Enum.TryParse<Pins>(name, ignoreCase: true, out var pin)
                ? pin
                : throw new ConfigurationException(key, $"'{name}' cannot be refused; write Listen, Temporary, AdvisoryLock, HoldCursor, SqlPrepare or Load.");
        }

        return refused;
    }
}
