namespace Tunnel.Bench.Contenders;

/// <summary>How a connector carries streams to its ingress.</summary>
internal enum Transport
{
    /// <summary>On carriers over TLS, which is the default.</summary>
    Carriers,

    /// <summary>On carriers over WebSockets: a proxy before the ingress ends the TLS session.</summary>
    CarriersBehindProxy,

    /// <summary>On a WebSocket for each stream.</summary>
    WebSockets,
}
