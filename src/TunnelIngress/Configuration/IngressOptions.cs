using Shared.Hosting.Logging;

namespace TunnelIngress.Configuration;

/// <summary>The ingress's configuration as it is written: keys, defaults, units. docs/configuration.md lists them.</summary>
internal sealed class IngressOptions
{
    /// <summary>The management address if none is named.</summary>
    public const string DefaultManagement = "127.0.0.1:9080";

    /// <summary>The public addresses, e.g. <c>0.0.0.0:443</c> and <c>[::]:443</c>.</summary>
    public List<string> Listen { get; set; } = [];

    /// <summary>Ports of the outside that lead to the public addresses, where they are not the same.</summary>
    public List<int> PublicPorts { get; set; } = [];

    /// <summary>The certificate for the public addresses.</summary>
    public CertificateOptions Certificate { get; set; } = new();

    /// <summary>Development only: make a local CA in the state directory and serve certificates of it.</summary>
    public bool DevCertificate { get; set; }

    /// <summary>No TLS on the public addresses: for a proxy on the same host that terminates it. Only allowed on loopback.</summary>
    public bool Plaintext { get; set; }

    /// <summary>The state directory; the system's usual place without it.</summary>
    public string? State { get; set; }

    /// <summary>The management address: health, readiness, metrics. Loopback, or a Unix socket.</summary>
    public string Management { get; set; } = DefaultManagement;

    /// <summary>Listeners on this host whose connections go to a service without a token.</summary>
    public List<LocalListenerOptions> Local { get; set; } = [];

    /// <summary>The port for PostgreSQL drivers.</summary>
    public PostgresOptions Postgres { get; set; } = new();

    /// <summary>The directory of the keys that encrypt the pools' credentials; <c>keys</c> in the state directory without it.</summary>
    public string? Keys { get; set; }

    /// <summary>Bounds.</summary>
    public LimitOptions Limits { get; set; } = new();

    /// <summary>How long a half-closed stream may be silent before it is cut, in seconds.</summary>
    public int HalfCloseTimeoutSeconds { get; set; } = 900;

    /// <summary>How long running streams may take to finish after SIGTERM, in seconds.</summary>
    public int GraceSeconds { get; set; } = 30;

    /// <summary>The log.</summary>
    public LogOptions Log { get; set; } = new();
}

/// <summary>A certificate in files; read again when they change.</summary>
internal sealed class CertificateOptions
{
    /// <summary>A PEM chain, or a PFX file.</summary>
    public string? File { get; set; }

    /// <summary>The private key in PEM; not needed when <see cref="File"/> holds it.</summary>
    public string? KeyFile { get; set; }

    /// <summary>A file with the password of the PFX file or of the key.</summary>
    public string? PasswordFile { get; set; }
}

/// <summary>The port for PostgreSQL drivers.</summary>
internal sealed class PostgresOptions
{
    /// <summary>The public addresses, e.g. <c>0.0.0.0:5432</c>; none without it.</summary>
    public List<string> Listen { get; set; } = [];

    /// <summary>How many applications all pools may have together.</summary>
    public int MaxClients { get; set; } = 10_000;

    /// <summary>How many connections all pools may have together; 0 without a limit.</summary>
    public int MaxConnections { get; set; }

    /// <summary>How long an application may take to log in, in seconds.</summary>
    public int LoginTimeoutSeconds { get; set; } = 15;
}

/// <summary>One local listener.</summary>
internal sealed class LocalListenerOptions
{
    /// <summary>The service's name.</summary>
    public string Service { get; set; } = "";

    /// <summary><c>127.0.0.1:5432</c>, <c>[::1]:5432</c> or <c>unix:/path</c>.</summary>
    public string Listen { get; set; } = "";

    /// <summary>Whoever can connect gets the service without a token: addresses other than loopback must be asked for.</summary>
    public bool AllowRemote { get; set; }
}

/// <summary>Bounds on what clients may take.</summary>
internal sealed class LimitOptions
{
    /// <summary>The most connections at once, at all addresses but that of management; 0 for as many as there are file descriptors for.</summary>
    public int MaxConnections { get; set; }

    /// <summary>The most of them from one address that have shown no token, IPv6 by /64; 0 for an eighth of them. Not for this host's own.</summary>
    public int MaxConnectionsPerAddress { get; set; }

    /// <summary>The most of them of one application token, or of one local listener's callers; 0 for no more than are left.</summary>
    public int MaxConnectionsPerToken { get; set; }

    /// <summary>The most streams at once.</summary>
    public int MaxStreams { get; set; } = 20_000;

    /// <summary>The most streams at once of one application token.</summary>
    public int MaxStreamsPerToken { get; set; } = 10_000;

    /// <summary>The most carriers of applications with one token; each forwarder or pooler keeps up to two for a hostname.</summary>
    public int MaxCarriersPerToken { get; set; } = 500;

    /// <summary>The most connectors at once.</summary>
    public int MaxConnectors { get; set; } = 5_000;

    /// <summary>The most connectors at once of one tunnel.</summary>
    public int MaxConnectorsPerTunnel { get; set; } = 64;

    /// <summary>How long a new stream may wait for connector and target, in seconds.</summary>
    public int OpenTimeoutSeconds { get; set; } = 15;
}
