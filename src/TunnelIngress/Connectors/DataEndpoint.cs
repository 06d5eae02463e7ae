using Shared.Streams.Protocol;
using Shared.Streams.WebSockets;
using TunnelIngress.Applications;

namespace TunnelIngress.Connectors;

/// <summary>
/// Takes in data channels: authenticate with the token of the session → park → hold the request open until its stream has ended.
/// </summary>
internal sealed class DataEndpoint(AccessCheck access, ConnectorRegistry registry)
{
    /// <summary>Handles one upgrade request to <see cref="TunnelProtocol.DataPath"/>.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        if (await access.AuthenticateAsync(context) is not { } token)
        {
            return;
        }

        var session = registry.ById(context.Request.Headers[TunnelProtocol.SessionHeader].ToString());
        if (session is null || session.TokenId != token.ClientId)
        {
            await access.DenyAsync(context, token, "no such session of this token");
            return;
        }

        if (!context.WebSockets.IsWebSocketRequest)
        {
            await UpgradeAnswers.UpgradeRequiredAsync(context);
            return;
        }

        using var webSocket = await context.WebSockets.AcceptWebSocketAsync(new WebSocketAcceptContext
        {
            KeepAliveInterval = TunnelProtocol.DataKeepAlive,
            KeepAliveTimeout = Timeout.InfiniteTimeSpan,
        });
        var parked = new ParkedChannel(new DataChannel(webSocket, context.RequestAborted));
        await using var lost = context.RequestAborted.Register(() => session.Forget(parked));
        if (session.TryPark(parked))
        {
            await parked.Done;
        }
    }
}
