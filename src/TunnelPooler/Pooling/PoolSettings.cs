using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Shared.Hosting.Configuration;
using Shared.Pooling.Pools;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Sessions;
using Shared.Streams.Dialing;

namespace TunnelPooler.Pooling;

/// <summary>Checks one pool's options.</summary>
internal static class PoolSettings
{
    private const string TunnelScheme = "tunnel://";
    private const int DefaultIngressPort = 443;
    private const int LongestTime = 30 * 86_400;

    /// <exception cref="ConfigurationException">Names the first key that is wrong.</exception>
    public static PooledOrigin From(string name, PoolerPoolOptions options, TimeProvider time)
    {
        var key = $"Pools:{name}";
        var timeout = SettingChecks.Seconds($"{key}:ConnectTimeoutSeconds", options.ConnectTimeoutSeconds, 1, 300);
        var (dialer, host, isLocal) = DialerFor(key, options, timeout, time);
        var origin = new OriginOptions
        {
            Dialer = dialer,
            Database = string.IsNullOrEmpty(options.Database) ? name : options.Database,
            User = string.IsNullOrEmpty(options.User) ? throw new ConfigurationException($"{key}:User", "Give the user that the pool logs in as.") : options.User,
            Password = PasswordSetting.Read(key, options.PasswordFile, options.Password),
            Tls = TlsOf($"{key}:Tls", options.Tls),
            ServerName = options.ServerName ?? host,
            Roots = RootsOf($"{key}:CaFile", options.CaFile),
            RequireChannelBinding = options.RequireChannelBinding,
            IsLocal = isLocal,
            ConnectTimeout = timeout,
        };
        return new PooledOrigin(origin, new PostgresPoolOptions
        {
            Mode = Enum.TryParse<PoolMode>(options.Mode, ignoreCase: true, out var mode)
                ? mode
                : throw new ConfigurationException($"{key}:Mode", $"'{options.Mode}' is no mode; write transaction, session or statement."),
            PreparedStatements = SettingChecks.Within($"{key}:PreparedStatements", options.PreparedStatements, 1, 100_000),
            Refuse = Refused($"{key}:Refuse", options.Refuse),
            QueryTimeout = SettingChecks.Seconds($"{key}:QueryTimeoutSeconds", options.QueryTimeoutSeconds, 0, LongestTime),
            IdleTimeout = SettingChecks.Seconds($"{key}:ClientIdleTimeoutSeconds", options.ClientIdleTimeoutSeconds, 0, LongestTime),
            IdleInTransactionTimeout = SettingChecks.Seconds($"{key}:IdleInTransactionTimeoutSeconds", options.IdleInTransactionTimeoutSeconds, 0, LongestTime),
            Connections = new PoolOptions
            {
                Max = SettingChecks.Within($"{key}:Max", options.Max, 1, 10_000),
                Min = SettingChecks.Within($"{key}:Min", options.Min, 0, options.Max),
                Reserve = SettingChecks.Within($"{key}:Reserve", options.Reserve, 0, 10_000),
                WaitTimeout = SettingChecks.Seconds($"{key}:QueryWaitTimeoutSeconds", options.QueryWaitTimeoutSeconds, 1, LongestTime),
                IdleTimeout = SettingChecks.Seconds($"{key}:ServerIdleTimeoutSeconds", options.ServerIdleTimeoutSeconds, 1, LongestTime),
                Lifetime = SettingChecks.Seconds($"{key}:ServerLifetimeSeconds", options.ServerLifetimeSeconds, 1, LongestTime),
            },
        });
    }

    private static (IDialer Dialer, string? Host, bool IsLocal) DialerFor(string key, PoolerPoolOptions options, TimeSpan timeout, TimeProvider time)
    {
        if (!options.Origin.StartsWith(TunnelScheme, StringComparison.Ordinal))
        {
            var target = SettingChecks.Parsed($"{key}:Origin", () => TargetAddress.Parse(options.Origin));
            var isUnix = target.Scheme == "unix";
            return (target.CreateDialer(CertificateTrust.System, timeout, time), isUnix ? null : target.Host, isUnix);
        }

        var hostname = SettingChecks.Parsed($"{key}:Origin", () => HostAndPort.Parse(options.Origin[TunnelScheme.Length..], DefaultIngressPort));
        return (new TunnelDialer(hostname.Host, hostname.Port, new WebSocketDialerOptions
        {
            Token = options.Token.CreateSource(),
            Trust = SettingChecks.Trust($"{key}:IngressCaFile", options.IngressCaFile),
            ConnectTo = options.ConnectTo is { } other ? SettingChecks.Parsed($"{key}:ConnectTo", () => HostAndPort.Parse(other, DefaultIngressPort)) : null,
            Timeout = timeout,
            Time = time,
        }), hostname.Host, false);
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

    private static X509Certificate2Collection? RootsOf(string key, string? file)
    {
        if (string.IsNullOrEmpty(file))
        {
            return null;
        }

        try
        {
            var roots = new X509Certificate2Collection();
            roots.ImportFromPemFile(file);
            return roots.Count > 0 ? roots : throw new ConfigurationException(key, $"The CA file {file} holds no PEM certificate.");
        }
        catch (Exception exception) when (exception is IOException or CryptographicException or UnauthorizedAccessException)
        {
            throw new ConfigurationException(key, $"The CA file {file} cannot be read: {exception.Message}", exception);
        }
    }

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
