using Shared.Streams.Protocol;
using Shared.Streams.WebSockets;

namespace Shared.Streams.Dialing;

/// <summary>Opens authenticated carriers to an ingress. Safe for concurrent use.</summary>
/// <param name="webSockets">Opens WebSockets with the same token.</param>
public sealed class CarrierDialer(WebSocketDialer webSockets)
{
    /// <summary>Opens one carrier.</summary>
    /// <param name="ingress">The ingress.</param>
    /// <param name="session">The session of its control channel.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="DialException">It could not be opened.</exception>
    public async ValueTask<DuplexStream> DialAsync(Uri ingress, string session, CancellationToken cancellationToken)
    {
        var (webSocket, _) = await webSockets.DialAsync(
            new Uri(ingress, TunnelProtocol.CarrierPath), [new(TunnelProtocol.SessionHeader, session)], pings: false, cancellationToken);
        return new ChannelStream(webSocket);
    }
}
