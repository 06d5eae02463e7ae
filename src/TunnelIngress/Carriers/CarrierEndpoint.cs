using Shared.Streams.Protocol;
using Shared.Streams.WebSockets;
using TunnelIngress.Connectors;

namespace TunnelIngress.Carriers;

/// <summary>Takes in connectors' carriers that are WebSockets: upgrade → join the session → carry until it ends.</summary>
internal sealed class CarrierEndpoint(SessionUpgrade upgrade, ConnectorCarriers carriers)
{
    /// <summary>Handles one upgrade request to <see cref="TunnelProtocol.CarrierPath"/>.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        if (await upgrade.AcceptAsync(context) is not var (session, webSocket))
        {
            return;
        }

        using var owned = webSocket;
        await carriers.RunAsync(session, new ChannelStream(webSocket, context.RequestAborted));
    }
}
