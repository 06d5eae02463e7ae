using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using Shared.Streams.WebSockets;
using TunnelIngress.Applications;

namespace TunnelIngress.Connectors;

/// <summary>
/// Takes in carriers: authenticate with the token of the session → join the session → carry until it ends.
/// </summary>
internal sealed class CarrierEndpoint(AccessCheck access, ConnectorRegistry registry, TimeProvider time, ILogger<CarrierEndpoint> logger)
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
        await CarryAsync(session, new Multiplexer(new ChannelStream(webSocket, context.RequestAborted), time));
    }

    private async Task CarryAsync(ConnectorSession session, Multiplexer carrier)
    {
        if (!session.TryJoin(carrier))
        {
            return;
        }

        var reason = "it ended";
        try
        {
            await carrier.RunAsync();
        }
        catch (IOException exception)
        {
            reason = exception.Message;
        }
        finally
        {
            session.Leave(carrier);
        }

        if (session.IsActive)
        {
            logger.CarrierLost(session.Connector, session.Tunnel, reason);
        }
    }
}
