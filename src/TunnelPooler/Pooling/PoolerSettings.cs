using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Shared.Hosting.Configuration;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Clients;
using Shared.Streams.Sockets;

namespace TunnelPooler.Pooling;

/// <summary>The checked configuration. Immutable.</summary>
internal sealed record PoolerSettings
{
    public required IReadOnlyList<ListenAddress> Listen { get; init; }

    public required IReadOnlyDictionary<string, PooledOrigin> Pools { get; init; }

    public required IClientCredentials Users { get; init; }

    public required IReadOnlySet<string> Administrators { get; init; }

    public required HandshakeOptions Handshake { get; init; }

    public required bool TrustUnixSockets { get; init; }

    public required bool RequireReachable { get; init; }

    public required int MaxConnections { get; init; }

    public required TimeSpan Grace { get; init; }

    /// <summary>Checks the options.</summary>
    /// <exception cref="ConfigurationException">Names the first key that is wrong.</exception>
    public static PoolerSettings From(PoolerOptions options, TimeProvider time)
    {
        var handshake = new HandshakeOptions
        {
            Tls = TlsFrom(options.Tls),
            RequireTls = options.Tls.Required,
            LoginTimeout = SettingChecks.Seconds("LoginTimeoutSeconds", options.LoginTimeoutSeconds, 1, 300),
        };
        var listen = options.Listen.Select((text, index) => ListenOn($"Listen:{index}", text, options, handshake)).ToArray();
        return new PoolerSettings
        {
            Listen = listen.Length > 0
                ? listen
                : throw new ConfigurationException("Listen", "Give at least one address, e.g. --listen 127.0.0.1:6432."),
            Pools = options.Pools.Count > 0
                ? options.Pools.ToDictionary(static pool => pool.Key, pool => PoolSettings.From(pool.Key, pool.Value, time), StringComparer.Ordinal)
                : throw new ConfigurationException("Pools", "There is no pool. Write one in the configuration file; docs/pooling.md begins with one."),
            Users = new ConfiguredUsers(options.Users),
            Administrators = options.Admins.ToHashSet(StringComparer.Ordinal),
            RequireReachable = options.RequireReachable,
            Handshake = handshake,
            TrustUnixSockets = options.TrustUnixSockets,
            MaxConnections = SettingChecks.Within("MaxConnections", options.MaxConnections, 0, 100_000),
            Grace = SettingChecks.Seconds("GraceSeconds", options.GraceSeconds, 0, 86_400),
        };
    }

    private static ListenAddress ListenOn(string key, string text, PoolerOptions options, HandshakeOptions handshake)
    {
        var address = SettingChecks.Address(key, text);
        return address.IsLoopbackOnly || handshake.RequireTls || options.AllowPlaintext
            ? address
            : throw new ConfigurationException(
                key, $"'{address}' can be reached from outside without TLS. Set Tls:Certificate, Tls:Key and Tls:Required, or AllowPlaintext.");
    }

    private static SslServerAuthenticationOptions? TlsFrom(PoolerTlsOptions options)
    {
        if (options.Certificate is null)
        {
            return options.Required ? throw new ConfigurationException("Tls:Certificate", "TLS is required, but there is no certificate.") : null;
        }

        try
        {
            using var certificate = X509Certificate2.CreateFromPemFile(options.Certificate, options.Key);
            var chain = new X509Certificate2Collection();
            chain.ImportFromPemFile(options.Certificate);
            return new SslServerAuthenticationOptions
            {
                ServerCertificateContext = SslStreamCertificateContext.Create(
                    X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pfx), password: null), chain, offline: true),
            };
        }
        catch (Exception exception) when (exception is IOException or CryptographicException or UnauthorizedAccessException)
        {
            throw new ConfigurationException("Tls:Certificate", $"The certificate {options.Certificate} cannot be read: {exception.Message}", exception);
        }
    }
}
