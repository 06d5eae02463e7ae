using Shared.Streams.Protocol;
using Shared.Streams.WebSockets;
using TunnelIngress.Applications;
using TunnelIngress.Connectors;

namespace TunnelIngress.Carriers;

/// <summary>
/// Takes in connectors' carriers that are WebSockets: authenticate with the token of the session → join the session → carry until it ends.
/// </summary>
internal sealed class CarrierEndpoint(AccessCheck access, ConnectorRegistry registry, ConnectorCarriers carriers)
{
    /// <summary>Handles one upgrade request to <see cref="TunnelProtocol.CarrierPath"/>.</summary>
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
        await carriers.RunAsync(session, new ChannelStream(webSocket, context.RequestAborted));
    }
}
