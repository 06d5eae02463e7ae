using Shared.Hosting.Configuration;
using Shared.Hosting.Logging;

namespace TunnelPooler.Forwarding;

/// <summary>The forwarder's configuration as it is written: keys, defaults, units. docs/configuration.md lists them.</summary>
internal sealed class ForwardOptions
{
    /// <summary>The tunnel hostname, <c>host</c> or <c>host:port</c> (443).</summary>
    public string Hostname { get; set; } = "";

    /// <summary>The local addresses, e.g. <c>127.0.0.1:5432</c> or <c>unix:/path</c>.</summary>
    public List<string> Listen { get; set; } = [];

    /// <summary>Whoever can connect reaches the service with our token: addresses other than loopback must be asked for.</summary>
    public bool AllowRemote { get; set; }

    /// <summary>The service token that may access the service.</summary>
    public TokenOptions Token { get; set; } = new();

    /// <summary>A PEM file with the roots that the ingress's certificate must chain to; the system's roots without it.</summary>
    public string? CaFile { get; set; }

    /// <summary>Another <c>host:port</c> to connect to; TLS and HTTP keep the hostname's name.</summary>
    public string? ConnectTo { get; set; }

    /// <summary>The limit for opening one stream, in seconds.</summary>
    public int OpenTimeoutSeconds { get; set; } = 20;

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
