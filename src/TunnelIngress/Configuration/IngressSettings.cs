using Shared.Hosting.Configuration;
using Shared.Streams.Sockets;

namespace TunnelIngress.Configuration;

/// <summary>The checked configuration. Immutable.</summary>
internal sealed record IngressSettings
{
    public required IReadOnlyList<ListenAddress> Listen { get; init; }

    /// <summary>Ports that clients come to, beside those of <see cref="Listen"/>.</summary>
    public required IReadOnlyList<int> PublicPorts { get; init; }

    public required ListenAddress Management { get; init; }

    public required IReadOnlyList<LocalBinding> Local { get; init; }

    public required IReadOnlyList<ListenAddress> Postgres { get; init; }

    public required int PostgresMaxClients { get; init; }

    public required int PostgresMaxConnections { get; init; }

    public required TimeSpan PostgresLoginTimeout { get; init; }

    public required CertificateOptions Certificate { get; init; }

    public required bool DevCertificate { get; init; }

    public required bool Plaintext { get; init; }

    public required LimitOptions Limits { get; init; }

    public required TimeSpan OpenTimeout { get; init; }

    public required TimeSpan HalfCloseTimeout { get; init; }

    public required TimeSpan Grace { get; init; }

    /// <summary>Checks the options.</summary>
    /// <exception cref="ConfigurationException">Names the first key that is wrong.</exception>
    public static IngressSettings From(IngressOptions options)
    {
        CheckCertificate(options);
        var listen = options.Listen.Select((text, index) => SettingChecks.Address($"Listen:{index}", text)).ToArray();
        if (listen.Length == 0)
        {
            throw new ConfigurationException("Listen", "Give at least one public address, e.g. --listen 0.0.0.0:443.");
        }

        if (options.Plaintext && !Array.TrueForAll(listen, static address => address.IsLoopbackOnly))
        {
            throw new ConfigurationException("Plaintext", "Without TLS only loopback addresses may be listened on; put the proxy that terminates TLS on this host.");
        }

        var management = SettingChecks.Address("Management", options.Management);
        return new IngressSettings
        {
            Listen = listen,
            PublicPorts = [.. options.PublicPorts.Select(static (port, index) => SettingChecks.Within($"PublicPorts:{index}", port, 1, 65_535))],
            Management = management.IsLoopbackOnly
                ? management
                : throw new ConfigurationException("Management", $"'{management}' can be reached from outside. Write a loopback address or unix:/path."),
            Local = [.. options.Local.Select((local, index) => Binding($"Local:{index}", local))],
            Postgres = PostgresFrom(options),
            PostgresMaxClients = SettingChecks.Within("Postgres:MaxClients", options.Postgres.MaxClients, 1, 1_000_000),
            PostgresMaxConnections = SettingChecks.Within("Postgres:MaxConnections", options.Postgres.MaxConnections, 0, 100_000),
            PostgresLoginTimeout = SettingChecks.Seconds("Postgres:LoginTimeoutSeconds", options.Postgres.LoginTimeoutSeconds, 1, 300),
            Certificate = options.Certificate,
            DevCertificate = options.DevCertificate,
            Plaintext = options.Plaintext,
            Limits = LimitsFrom(options.Limits),
            OpenTimeout = SettingChecks.Seconds("Limits:OpenTimeoutSeconds", options.Limits.OpenTimeoutSeconds, 1, 60),
            HalfCloseTimeout = SettingChecks.Seconds("HalfCloseTimeoutSeconds", options.HalfCloseTimeoutSeconds, 1, 86_400),
            Grace = SettingChecks.Seconds("GraceSeconds", options.GraceSeconds, 0, 86_400),
        };
    }

    private static void CheckCertificate(IngressOptions options)
    {
        var ways = (options.Certificate.File is not null ? 1 : 0) + (options.DevCertificate ? 1 : 0) + (options.Plaintext ? 1 : 0);
        if (ways != 1)
        {
            throw new ConfigurationException(
                "Certificate:File",
                ways == 0
                    ? "There is no certificate. Give --certificate FILE (and --certificate-key FILE), or --dev-certificate to try things out."
                    : "Give one of --certificate, --dev-certificate and Plaintext, not several.");
        }
    }

    private static ListenAddress[] PostgresFrom(IngressOptions options) => options.Postgres.Listen.Count == 0 || !options.Plaintext
        ? [.. options.Postgres.Listen.Select(static (text, index) => SettingChecks.Address($"Postgres:Listen:{index}", text))]
        : throw new ConfigurationException("Postgres:Listen", "PostgreSQL drivers are served over TLS only; give the ingress a certificate instead of Plaintext.");

    private static LimitOptions LimitsFrom(LimitOptions limits)
    {
        SettingChecks.Within("Limits:MaxConnections", limits.MaxConnections, 0, 10_000_000);
        SettingChecks.Within("Limits:MaxConnectionsPerAddress", limits.MaxConnectionsPerAddress, 0, 10_000_000);
        SettingChecks.Within("Limits:MaxConnectionsPerToken", limits.MaxConnectionsPerToken, 0, 10_000_000);
        SettingChecks.Within("Limits:MaxConnectors", limits.MaxConnectors, 1, 1_000_000);
        SettingChecks.Within("Limits:MaxConnectorsPerTunnel", limits.MaxConnectorsPerTunnel, 1, 1_000_000);
        return limits;
    }

    private static LocalBinding Binding(string key, LocalListenerOptions local)
    {
        if (local.Service.Length == 0)
        {
            throw new ConfigurationException($"{key}:Service", "Name the service, e.g. --local orders-db=127.0.0.1:5432.");
        }

        var address = SettingChecks.Address($"{key}:Listen", local.Listen);
        return address.IsLoopbackOnly || local.AllowRemote
            ? new LocalBinding(local.Service, address)
            : throw new ConfigurationException(
                $"{key}:Listen",
                $"'{address}' can be reached from outside, and whoever reaches it needs no token. Write a loopback address, or set {key}:AllowRemote to true.");
    }
}

/// <summary>A local listener and the service its connections go to.</summary>
internal sealed record LocalBinding(string Service, ListenAddress Address);
