using Microsoft.Extensions.Logging;
using Shared.Hosting.Configuration;
using Shared.Pooling.Hosting;
using Shared.Pooling.Postgres;
using Shared.Streams.Dialing;

namespace TunnelPooler.Pooling;

/// <summary>Checks the options of the pooler's pools.</summary>
internal static class PoolerPools
{
    /// <summary>The name of the pool for databases that no other pool is named after.</summary>
    public const string AnyName = "*";

    private const string TunnelScheme = "tunnel://";
    private const int DefaultIngressPort = 443;

    private static readonly TargetForm Database = new(
        "a database's address", ["tcp", "unix"], "tcp, unix or tunnel",
        "tcp://10.0.1.5:5432, unix:///run/postgresql/.s.PGSQL.5432 or tunnel://orders-db.tunnel.example.com");

    /// <summary>Whether a pool's origin is a tunnel hostname.</summary>
    public static bool LeadsThroughTunnel(PoolerPoolOptions options) => options.Origin.StartsWith(TunnelScheme, StringComparison.Ordinal);

    /// <exception cref="ConfigurationException">Names the first key that is wrong.</exception>
    public static PoolDefinition From(string name, PoolerPoolOptions options, TimeProvider time, ILogger logger)
    {
        var key = $"Pools:{name}";
        var access = AccessTo(key, options, time, logger) with
        {
            Password = PasswordSetting.Read($"{key}:PasswordFile", options.PasswordFile, options.Password),
            Roots = PemCertificates.ReadFile($"{key}:CaFile", options.CaFile) is { } roots ? PemCertificates.Roots($"{key}:CaFile", roots) : null,
            ClientCertificate = PemCertificates.ReadFile($"{key}:ClientCertificate", options.ClientCertificate) is { } certificate
                ? PemCertificates.WithKey($"{key}:ClientCertificate", certificate, PemCertificates.ReadFile($"{key}:ClientKey", options.ClientKey))
                : null,
        };
        options.Database ??= name == AnyName ? null : name;
        return PoolDefinitions.From($"{key}:", options, access);
    }

    /// <summary>How the user that looks up the others logs in; null without one.</summary>
    /// <param name="name">The pool's name.</param>
    /// <param name="options">Its options.</param>
    /// <param name="definition">What <see cref="From"/> has made of them.</param>
    /// <exception cref="ConfigurationException">Names the first key that is wrong.</exception>
    public static (PoolDefinition Definition, string Query)? AuthQueryFrom(string name, PoolerPoolOptions options, PoolDefinition definition)
    {
        if (options.AuthQuery is not { User: { Length: > 0 } user } asked)
        {
            return null;
        }

        var key = $"Pools:{name}:AuthQuery";
        return (definition with
        {
            Origin = definition.Origin with
            {
                User = user,
                Password = PasswordSetting.Read($"{key}:PasswordFile", asked.PasswordFile, asked.Password),
                Database = definition.AnyDatabase ? "postgres" : definition.Origin.Database,
            },
        }, asked.Query);
    }

    private static OriginAccess AccessTo(string key, PoolerPoolOptions options, TimeProvider time, ILogger logger)
    {
        var timeout = SettingChecks.Seconds($"{key}:ConnectTimeoutSeconds", options.ConnectTimeoutSeconds, 1, 300);
        var version = string.Join('\n', options.Origin, options.IngressCaFile, options.ConnectTo, options.Token.File, options.Token.ClientId, options.Token.ClientSecret);
        if (!LeadsThroughTunnel(options))
        {
            var target = SettingChecks.Parsed($"{key}:Origin", () => TargetAddress.Parse(options.Origin, Database));
            var isUnix = target.Scheme == "unix";
            return new OriginAccess(target.CreateDialer(CertificateTrust.System, timeout, time), version) { Host = isUnix ? null : target.Host, IsLocal = isUnix };
        }

        var hostname = SettingChecks.Parsed($"{key}:Origin", () => HostAndPort.Parse(options.Origin[TunnelScheme.Length..], DefaultIngressPort));
        var dialer = new TunnelDialer(hostname.Host, hostname.Port, new WebSocketDialerOptions
        {
            Token = options.Token.CreateSource($"{key}:Token", logger),
            Trust = SettingChecks.Trust($"{key}:IngressCaFile", options.IngressCaFile),
            ConnectTo = options.ConnectTo is { } other ? SettingChecks.Parsed($"{key}:ConnectTo", () => HostAndPort.Parse(other, DefaultIngressPort)) : null,
            Timeout = timeout,
            Time = time,
        });
        return new OriginAccess(dialer, version) { Host = hostname.Host };
    }
}
