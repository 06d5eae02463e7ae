using Shared.Streams;
using Shared.Streams.Dialing;
using TunnelIngress.State;
using TunnelIngress.Streams;

namespace TunnelIngress.Pools;

/// <summary>Reaches a service's target for a pool in this process: a stream of its tunnel, without a hop in between. Safe for concurrent use.</summary>
/// <param name="service">The service's name.</param>
/// <param name="state">Knows its tunnel.</param>
/// <param name="streams">Opens its streams.</param>
internal sealed class ServiceDialer(string service, StateWatcher state, StreamService streams) : IDialer
{
    /// <inheritdoc/>
    public async ValueTask<DuplexStream> DialAsync(CancellationToken cancellationToken)
    {
        var known = state.Current.Services.GetValueOrDefault(service)
            ?? throw new DialException(Hop.Ingress, "unknown-service", $"The service {service} was removed.");
        return streams.Attach(await streams.OpenAsync(known, new StreamCaller(null, $"pool {service}", IsPool: true), early: null, cancellationToken));
    }

    /// <inheritdoc/>
    public override string ToString() => $"service {service}";
}
