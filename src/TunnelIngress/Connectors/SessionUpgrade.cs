using System.Net.WebSockets;
using Shared.Streams.Protocol;
using Shared.Streams.Sockets;
using TunnelIngress.Applications;

namespace TunnelIngress.Connectors;

/// <summary>
/// What a connector's further WebSockets have in common, data channels and carriers: authenticate with the token of the session → upgrade.
/// Safe for concurrent use.
/// </summary>
internal sealed class SessionUpgrade(AccessCheck access, ConnectorRegistry registry)
{
    /// <summary>Accepts one upgrade request; null after the refusal was answered. The caller owns the WebSocket.</summary>
    public async Task<(ConnectorSession Session, WebSocket WebSocket)?> AcceptAsync(HttpContext context)
    {
        if (await access.AuthenticateAsync(context) is not { } token)
        {
            return null;
        }

        var session = registry.ById(context.Request.Headers[TunnelProtocol.SessionHeader].ToString());
        if (session is null || session.TokenId != token.ClientId)
        {
            await access.DenyAsync(context, token, "no such session of this token");
            return null;
        }

        if (!context.WebSockets.IsWebSocketRequest)
        {
            await UpgradeAnswers.UpgradeRequiredAsync(context);
            return null;
        }

        // Of each connector only so many carriers and parked channels are kept.
        context.Features.Get<AcceptPlace>()?.Recognize();
        return (session, await context.WebSockets.AcceptWebSocketAsync(new WebSocketAcceptContext
        {
            KeepAliveInterval = TunnelProtocol.DataKeepAlive,
            KeepAliveTimeout = Timeout.InfiniteTimeSpan,
        }));
    }
}
