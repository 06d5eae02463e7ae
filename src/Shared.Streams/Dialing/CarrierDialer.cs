using Shared.Streams.Protocol;
using Shared.Streams.WebSockets;

namespace Shared.Streams.Dialing;

/// <summary>
/// Opens a connector's carriers to an ingress: TLS and nothing else where that is possible, a WebSocket behind a proxy of either side.
/// Safe for concurrent use.
/// </summary>
/// <param name="options">How to reach the ingress.</param>
/// <param name="webSockets">Opens WebSockets with the same options.</param>
public sealed class CarrierDialer(WebSocketDialerOptions options, WebSocketDialer webSockets)
{
    private readonly TlsCarrierDialer _tls = new(options);

    /// <summary>Opens one carrier.</summary>
    /// <param name="ingress">The ingress.</param>
    /// <param name="session">The session of its control channel.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="DialException">It could not be opened.</exception>
    /// <exception cref="IOException">It broke, or the ingress broke the protocol.</exception>
    public async ValueTask<DuplexStream> DialAsync(Uri ingress, string session, CancellationToken cancellationToken)
    {
        if (await _tls.TryDialAsync(ingress, token => new Join(token.ClientId, token.ClientSecret, session), cancellationToken) is { } carrier)
        {
            return carrier;
        }

        var (webSocket, _) = await webSockets.DialAsync(
            new Uri(ingress, TunnelProtocol.CarrierPath), [new(TunnelProtocol.SessionHeader, session)], pings: false, cancellationToken);
        return new ChannelStream(webSocket);
    }
}
