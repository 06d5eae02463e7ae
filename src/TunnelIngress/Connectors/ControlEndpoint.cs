using System.Net.WebSockets;
using Shared.Streams;
using Shared.Streams.Protocol;
using Shared.Streams.Relaying;
using Shared.Streams.Sockets;
using Shared.Streams.WebSockets;
using TunnelIngress.Access;
using TunnelIngress.Applications;
using TunnelIngress.State;
using TunnelIngress.Streams;

namespace TunnelIngress.Connectors;

/// <summary>
/// The connector's end of the ingress: a control channel from its upgrade to its end.
/// authenticate → register → serve (demand, announcements, drain, pings) → cut everything that hung on it.
/// </summary>
internal sealed class ControlEndpoint(
    AccessCheck access, StateWatcher state, ConnectorRegistry registry, StreamSet<StreamInfo> streams, StreamGate gate,
    TimeProvider time, ILogger<ControlEndpoint> logger)
{
    /// <summary>Handles one upgrade request to <see cref="TunnelProtocol.ControlPath"/>.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        if (await access.AuthenticateAsync(context) is not { } token)
        {
            return;
        }

        if (token.Scope.ConnectTunnel is not { } tunnel || !state.Current.Tunnels.ContainsKey(tunnel))
        {
            await access.DenyAsync(context, token, "this token connects no tunnel");
            return;
        }

        // From here on it is one of the connectors, and makes room for nobody while it registers.
        context.Features.Get<AcceptPlace>()?.Recognize();

        if (gate.IsDraining)
        {
            await UpgradeAnswers.DrainingAsync(context);
            return;
        }

        if (!context.WebSockets.IsWebSocketRequest)
        {
            await UpgradeAnswers.UpgradeRequiredAsync(context);
            return;
        }

        using var webSocket = await context.WebSockets.AcceptWebSocketAsync(new WebSocketAcceptContext
        {
            KeepAliveInterval = TunnelProtocol.PingInterval,
            KeepAliveTimeout = TunnelProtocol.PingTimeout,
        });
        using var control = new ControlChannel(webSocket);
        await ServeAsync(control, tunnel, token, AccessCheck.RemoteOf(context), context.RequestAborted);
    }

    private async Task ServeAsync(ControlChannel control, string tunnel, AcceptedToken token, string from, CancellationToken aborted)
    {
        ConnectorSession session;
        try
        {
            session = await RegisterAsync(control, tunnel, token, from, aborted);
        }
        catch (RegistrationException exception)
        {
            logger.ConnectorRefused(tunnel, from, exception.Code, exception.Message);
            await RefuseAsync(control, exception, aborted);
            return;
        }

        var reason = "the control channel ended";
        try
        {
            reason = await RunAsync(session, aborted);
        }
        catch (Exception exception) when (exception is IOException || aborted.IsCancellationRequested)
        {
            reason = exception is OperationCanceledException ? "the connection was lost" : exception.Message;
        }
        finally
        {
            registry.Remove(session);

            // Whoever has announced it and carries nothing any more is no loss, however the channel ends.
            var hasLeft = session is { State: SessionState.Draining, Load: 0 };
            session.Close();
            var cut = streams.Abort(
                info => info.Session == session, new StreamAbort(AbortCode.ConnectionLost, "the connector went away"));
            if (hasLeft)
            {
                logger.ConnectorLeft(session.Connector, session.LoggedName, tunnel);
            }
            else
            {
                logger.ConnectorOffline(session.Connector, session.LoggedName, tunnel, cut, reason);
            }

            control.Abort();
        }
    }

    private async Task<ConnectorSession> RegisterAsync(
        ControlChannel control, string tunnel, AcceptedToken token, string from, CancellationToken aborted)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(aborted);
        limit.CancelAfter(TunnelProtocol.RegistrationTimeout);
        Register register;
        try
        {
            register = await control.ReceiveAsync(limit.Token) as Register
                ?? throw new RegistrationException("protocol-error", "The first message must be register.");
        }
        catch (OperationCanceledException)
        {
            throw new RegistrationException("timeout", "No register message came in time.");
        }
        catch (IOException exception)
        {
            throw new RegistrationException("protocol-error", $"No usable register message came: {exception.Message}.");
        }

        Check(register);
        var session = new ConnectorSession(StreamIds.NewSession(), tunnel, ProtocolCodec.OneLine(register.Connector), register.Name, token, from, time.GetUtcNow(), control);
        session.Announce(register.Services);
        if (registry.Add(session) is { } fault)
        {
            throw new RegistrationException("limited", fault);
        }

        try
        {
            await control.SendAsync(new Registered(session.Id, tunnel), aborted);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            registry.Remove(session);
            session.Close();
            throw new RegistrationException("connection-lost", "The connector left during its registration.");
        }

        logger.ConnectorOnline(session.Connector, session.LoggedName, tunnel, string.Join(", ", session.Services.Order(StringComparer.Ordinal)), from, session.Id);
        return session;
    }

    private static void Check(Register register)
    {
        if (register.Version != TunnelProtocol.Version)
        {
            throw new RegistrationException(
                "unsupported-version",
                $"The connector speaks version {register.Version} of the tunnel protocol, this ingress version {TunnelProtocol.Version}. Use releases that match.");
        }

        CheckServices(register.Services);
        if (register.Connector.Length is 0 or > 128)
        {
            throw new RegistrationException("protocol-error", "The connector's id must have 1 to 128 characters.");
        }

        if (register.Name is { } name && PlainName.FaultOf("connector", ProtocolCodec.OneLine(name)) is { } fault)
        {
            throw new RegistrationException("protocol-error", fault);
        }
    }

    private static void CheckServices(IReadOnlyList<string> services)
    {
        if (services.Count > TunnelProtocol.MaxServices || services.Any(static name => name is null or { Length: 0 or > 63 }))
        {
            throw new RegistrationException("protocol-error", $"A connector announces at most {TunnelProtocol.MaxServices} services with names of 1 to 63 characters.");
        }
    }

    /// <summary>Serves the session to its end: three loops, of which the first to end ends the others.</summary>
    private async Task<string> RunAsync(ConnectorSession session, CancellationToken aborted)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(aborted);
        var announcements = new Announcements(session, state, time, logger);
        Task[] loops = [ReceiveAsync(session, announcements, ended.Token), SignalDemandAsync(session, ended.Token), announcements.RunAsync(ended.Token)];
        var first = await Task.WhenAny(loops);
        await ended.CancelAsync();
        await Task.WhenAll(loops).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        await first;
        return "the connector closed the control channel";
    }

    private async Task ReceiveAsync(ConnectorSession session, Announcements announcements, CancellationToken cancellationToken)
    {
        var drains = false;
        while (await session.Control.ReceiveAsync(cancellationToken) is { } message)
        {
            switch (message)
            {
                case Announce announce:
                    try
                    {
                        CheckServices(announce.Services);
                    }
                    catch (RegistrationException exception)
                    {
                        throw new ProtocolException(exception.Message, exception);
                    }

                    announcements.Take(announce.Services);
                    break;
                case Drain when drains:
                    break;
                case Drain:
                    drains = true;
                    registry.Drain(session);
                    streams.TellLeaving(info => info.Session == session);
                    logger.ConnectorDraining(session.Connector, session.LoggedName, session.Tunnel, session.Load);
                    break;
                default:
                    throw new ProtocolException($"{message.GetType().Name} on a registered control channel");
            }
        }
    }

    private static async Task SignalDemandAsync(ConnectorSession session, CancellationToken cancellationToken)
    {
        while (true)
        {
            var waiting = await session.WaitForDemandAsync(cancellationToken);
            if (waiting > 0)
            {
                await session.Control.SendAsync(new Demand(waiting), cancellationToken);
            }
        }
    }

    private async Task RefuseAsync(ControlChannel control, RegistrationException refusal, CancellationToken aborted)
    {
        try
        {
            await control.SendAsync(new RegistrationRefused(refusal.Code, refusal.Message), aborted);
            await control.CloseAsync(WebSocketCloseStatus.PolicyViolation, refusal.Code);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            logger.RefusalNotDelivered(exception.Message);
        }
    }

    private sealed class RegistrationException(string code, string message) : Exception(message)
    {
        public string Code => code;
    }
}
