using Tunnel.Bench.Distance;

namespace Tunnel.Bench.Contenders;

/// <summary>How a <see cref="TunnelChain"/> differs from the default.</summary>
internal sealed record TunnelChainOptions
{
    /// <summary>Gets how many connectors serve the tunnel.</summary>
    public int Connectors { get; init; } = 1;

    /// <summary>Gets how connectors carry streams.</summary>
    public Transport Transport { get; init; } = Transport.Carriers;

    /// <summary>Gets whether forwarders are started, too.</summary>
    public bool HasForwarders { get; init; } = true;

    /// <summary>Gets what lies between ingress and connector.</summary>
    public Link Link { get; init; } = Link.None;
}
