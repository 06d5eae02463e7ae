using Shared.Streams.Protocol;
using Shared.Streams.WebSockets;

namespace TunnelIngress.Connectors;

/// <summary>Takes in data channels: upgrade → park → hold the request open until its stream has ended.</summary>
internal sealed class DataEndpoint(SessionUpgrade upgrade)
{
    /// <summary>Handles one upgrade request to <see cref="TunnelProtocol.DataPath"/>.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        if (await upgrade.AcceptAsync(context) is not var (session, webSocket))
        {
            return;
        }

        using var owned = webSocket;
        var parked = new ParkedChannel(new DataChannel(webSocket, context.RequestAborted));
        await using var lost = context.RequestAborted.Register(() => session.Forget(parked));
        if (session.TryPark(parked))
        {
            await parked.Done;
        }
    }
}
