using Shared.Hosting.Configuration;
using Shared.Hosting.Logging;

namespace TunnelConnector.Configuration;

/// <summary>The connector's configuration as it is written: keys, defaults, units. docs/configuration.md lists them.</summary>
internal sealed class ConnectorOptions
{
    /// <summary>The ingresses to dial, each <c>wss://host[:port]</c>.</summary>
    public List<string> Ingress { get; set; } = [];

    /// <summary>The service token that connects the tunnel.</summary>
    public TokenOptions Token { get; set; } = new();

    /// <summary>What this connector is called at the ingress; the machine's name without it.</summary>
    public string? Name { get; set; }

    /// <summary>A PEM file with the roots that the ingress's certificate must chain to; the system's roots without it.</summary>
    public string? CaFile { get; set; }

    /// <summary>Development only: allow <c>ws://</c>, where token and data travel unencrypted.</summary>
    public bool AllowPlaintext { get; set; }

    /// <summary>What may be dialled: service name to target. Nothing else ever is.</summary>
    public Dictionary<string, ServiceOptions> Services { get; set; } = [];

    /// <summary>How many connections to each ingress its streams share; with 0 each stream has a WebSocket of its own.</summary>
    public int Carriers { get; set; } = 2;

    /// <summary>Without carriers: how many data channels stay ready at each ingress.</summary>
    public int ParkedChannels { get; set; } = 8;

    /// <summary>The limit of one connection to a target, in seconds.</summary>
    public int ConnectTimeoutSeconds { get; set; } = 10;

    /// <summary>How long a half-closed stream may be silent before it is cut, in seconds.</summary>
    public int HalfCloseTimeoutSeconds { get; set; } = 900;

    /// <summary>How long running streams may take to finish after SIGTERM, in seconds.</summary>
    public int GraceSeconds { get; set; } = 30;

    /// <summary>The management address: health and metrics. Loopback, or a Unix socket; none without it.</summary>
    public string? Management { get; set; }

    /// <summary>True when others than this host may ask for health and metrics: the management address may be any.</summary>
    public bool ManagementAllowRemote { get; set; }

    /// <summary>The log.</summary>
    public LogOptions Log { get; set; } = new();
}

/// <summary>One target.</summary>
internal sealed class ServiceOptions
{
    /// <summary><c>tcp://host:port</c>, <c>tls://host:port</c>, <c>unix:///path</c>, <c>http://host[:port]</c> or <c>https://host[:port]</c>.</summary>
    public string Target { get; set; } = "";

    /// <summary>For tls targets: a PEM file with the roots to trust instead of the system's.</summary>
    public string? CaFile { get; set; }
}
