using System.Net.WebSockets;
using Microsoft.Extensions.Logging;
using Shared.Streams;
using Shared.Streams.Dialing;
using Shared.Streams.Protocol;
using Shared.Streams.Relaying;
using Shared.Streams.WebSockets;
using TunnelConnector.Carriers;
using TunnelConnector.Channels;
using TunnelConnector.Configuration;

namespace TunnelConnector.Ingress;

/// <summary>
/// One registration at one ingress, from the control channel's upgrade to its end. Its data channels and streams live no longer
/// than it does: whoever loses the control channel cuts them, so that nothing hangs on a dead peer.
/// </summary>
internal sealed class ControlSession(
    Uri ingress, ConnectorIdentity identity, WebSocketDialer dialer, CarrierDialer carriers, CurrentSettings settings, StreamServer server, TimeProvider time,
    ILoggerFactory loggers)
{
    private static readonly TimeSpan CutTimeout = TimeSpan.FromSeconds(1);

    private readonly ILogger<ControlSession> _logger = loggers.CreateLogger<ControlSession>();
    private readonly StreamSet<string> _streams = new();
    private readonly Signal _servicesChanged = new();
    private readonly TaskCompletionSource _ingressDrains = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile Registration? _registration;

    /// <summary>Completes when the ingress says that it drains: time to register elsewhere.</summary>
    public Task IngressDrains => _ingressDrains.Task;

    /// <summary>Whether the registration has ever stood.</summary>
    public bool HasRegistered { get; private set; }

    /// <summary>Whether the registration stands now.</summary>
    public bool IsRegistered => _registration is not null;

    /// <summary>How many streams run over this session.</summary>
    public int Streams => _streams.Count;

    /// <summary>Registers and serves until the control channel ends or the token is cancelled.</summary>
    /// <param name="onRegistered">Called once, when the registration stands.</param>
    /// <param name="cancellationToken">Ends the session and cuts its streams.</param>
    /// <returns>Why it ended.</returns>
    /// <exception cref="IOException">It could not begin, or was lost.</exception>
    public async Task<string> RunAsync(Action onRegistered, CancellationToken cancellationToken)
    {
        var (webSocket, _) = await dialer.DialAsync(new Uri(ingress, TunnelProtocol.ControlPath), [], pings: true, cancellationToken);
        using var control = new ControlChannel(webSocket);
        var registered = await ControlHandshake.RegisterAsync(control, identity.Id, identity.Name, ServiceNames(), cancellationToken);
        var intake = CreateIntake(registered);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var announcing = AnnounceChangesAsync(control, ended.Token);
        try
        {
            _registration = new Registration(control, intake);
            HasRegistered = true;
            onRegistered();
            _logger.Registered(ingress, registered.Tunnel);
            intake.Start();
            return await await Task.WhenAny(ReceiveAsync(control, intake, cancellationToken), FaultOf(intake));
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await control.CloseAsync(WebSocketCloseStatus.EndpointUnavailable, "connector stops");
            throw;
        }
        finally
        {
            _registration = null;
            control.Abort();
            _streams.Close(new StreamAbort(AbortCode.ConnectionLost, "the connector's session ended"));
            await intake.DisposeAsync();
            await ended.CancelAsync();
            await announcing;
        }
    }

    /// <summary>Takes no new streams any more and waits for the running ones.</summary>
    /// <exception cref="OperationCanceledException">The grace time was over first.</exception>
    public async Task DrainAsync(CancellationToken grace)
    {
        if (_registration is { } registration)
        {
            registration.Intake.Drain();
            try
            {
                await registration.Control.SendAsync(new Drain(), grace);
            }
            catch (Exception exception) when (exception is IOException or ObjectDisposedException)
            {
                // The session is ending already, and its streams with it.
                return;
            }

            await registration.Intake.WhenDrainedAsync(grace);
        }
    }

    /// <summary>Cuts what runs. The session still stands for a moment, so that the other end learns why: its loss would say something else.</summary>
    public async Task CutAsync()
    {
        _streams.Abort(static _ => true, new StreamAbort(AbortCode.Shutdown, "the connector's grace time is over"));
        using var limit = new CancellationTokenSource(CutTimeout, time);
        try
        {
            await (_registration?.Intake.WhenDrainedAsync(limit.Token) ?? Task.CompletedTask);
        }
        catch (OperationCanceledException)
        {
            // The ingress takes nothing; it will see the session's end.
        }
    }

    /// <summary>The configuration was reloaded: tell the ingress what is served now.</summary>
    public void OnServicesChanged() => _servicesChanged.Set();

    private IStreamIntake CreateIntake(Registered registered) => settings.Value.Carriers > 0
        ? new CarrierSet(
            carriers, ingress, registered, server, _streams, settings.Value.Carriers, time, loggers.CreateLogger<CarrierSet>())
        : new ChannelPark(
            dialer, ingress, registered, server, _streams, settings.Value.ParkedChannels, time, loggers.CreateLogger<ChannelPark>());

    private async Task<string> ReceiveAsync(ControlChannel control, IStreamIntake intake, CancellationToken cancellationToken)
    {
        while (await control.ReceiveAsync(cancellationToken) is { } message)
        {
            switch (message)
            {
                case Demand demand:
                    intake.OnDemand(demand.Channels);
                    break;
                case ServicesRejected rejected:
                    foreach (var service in rejected.Rejected)
                    {
                        _logger.ServiceRejected(ingress, ProtocolCodec.OneLine(service.Service), ProtocolCodec.OneLine(service.Reason));
                    }

                    break;
                case Drain:
                    intake.Drain();
                    _logger.IngressDraining(ingress);
                    _ingressDrains.TrySetResult();
                    break;
                default:
                    throw new ProtocolException($"{message.GetType().Name} on a registered control channel");
            }
        }

        return "the ingress closed the control channel";
    }

    private async Task AnnounceChangesAsync(ControlChannel control, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                await _servicesChanged.WaitAsync(cancellationToken);
                await control.SendAsync(new Announce(ServiceNames()), cancellationToken);
            }
        }
        catch (Exception exception) when (exception is IOException || cancellationToken.IsCancellationRequested)
        {
            // The session is over; the next registration announces the services anyway.
        }
    }

    private List<string> ServiceNames() => [.. settings.Value.Targets.Keys.Order(StringComparer.Ordinal)];

    private static async Task<string> FaultOf(IStreamIntake intake)
    {
        await intake.Fault;
        return "";
    }

    private sealed record Registration(ControlChannel Control, IStreamIntake Intake);
}
