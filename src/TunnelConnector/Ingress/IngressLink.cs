using Microsoft.Extensions.Logging;
using Shared.Streams.Dialing;
using TunnelConnector.Channels;
using TunnelConnector.Configuration;

namespace TunnelConnector.Ingress;

/// <summary>
/// Keeps this connector registered at one ingress for ever: a session, and after its end another one. When the ingress drains, the
/// next session starts while the old one still carries its streams: behind one name there may be another ingress.
/// </summary>
internal sealed class IngressLink(
    Uri ingress, string connectorId, CurrentSettings settings, ChannelServer server, TimeProvider time, ILoggerFactory loggers)
{
    private readonly ILogger<IngressLink> _logger = loggers.CreateLogger<IngressLink>();
    private readonly Backoff _backoff = new(time, Random.Shared);
    private readonly Lock _gate = new();
    private readonly List<(ControlSession Session, Task Run)> _sessions = [];

    /// <summary>Raised at each registration.</summary>
    public event Action? Registered;

    /// <summary>How many streams run over this link.</summary>
    public int Streams
    {
        get
        {
            lock (_gate)
            {
                return _sessions.Sum(static session => session.Session.Streams);
            }
        }
    }

    /// <summary>Registers again and again until a drain is asked for; then returns, while sessions may still carry streams.</summary>
    /// <param name="drain">Ends the reconnecting.</param>
    /// <param name="stop">Ends the sessions and cuts their streams.</param>
    public async Task RunAsync(CancellationToken drain, CancellationToken stop)
    {
        using var dialer = new WebSocketDialer(new WebSocketDialerOptions { Token = settings.Value.Token, Trust = settings.Value.Trust, Time = time });
        try
        {
            while (!drain.IsCancellationRequested)
            {
                var session = new ControlSession(ingress, connectorId, dialer, settings, server, time, loggers);
                var run = RunSessionAsync(session, drain, stop);
                lock (_gate)
                {
                    _sessions.RemoveAll(static ended => ended.Run.IsCompleted);
                    _sessions.Add((session, run));
                }

                // A drained ingress may be this one's only replica: the wait of the backoff applies then, too.
                if (await Task.WhenAny(run, session.IngressDrains) == session.IngressDrains)
                {
                    await WaitAsync(_backoff.Next(), drain);
                }
            }
        }
        finally
        {
            await Task.WhenAll(Sessions().Select(static session => session.Run));
        }
    }

    /// <summary>Lets running streams finish and takes no new ones.</summary>
    /// <exception cref="OperationCanceledException">The grace time was over first.</exception>
    public Task DrainAsync(CancellationToken grace) =>
        Task.WhenAll(Sessions().Select(session => session.Session.DrainAsync(grace)));

    /// <summary>The configuration was reloaded.</summary>
    public void OnServicesChanged()
    {
        foreach (var (session, _) in Sessions())
        {
            session.OnServicesChanged();
        }
    }

    private async Task RunSessionAsync(ControlSession session, CancellationToken drain, CancellationToken stop)
    {
        try
        {
            var reason = await session.RunAsync(OnRegistered, stop);
            await AfterEndAsync(delay => _logger.Disconnected(ingress, $"{reason}.", delay), drain);
        }
        catch (DialException exception)
        {
            await AfterEndAsync(
                delay => _logger.Unreachable(ingress, exception.Hop.ToWire(), exception.Code, exception.Message, delay), drain);
        }
        catch (IOException exception)
        {
            await AfterEndAsync(delay => _logger.Disconnected(ingress, $"{exception.Message}.", delay), drain);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The program ends.
        }
        catch (Exception exception)
        {
            _logger.SessionFault(exception, ingress);
            await WaitAsync(Backoff.Cap, drain);
        }
    }

    private void OnRegistered()
    {
        _backoff.Connected();
        Registered?.Invoke();
    }

    private async Task AfterEndAsync(Action<long> log, CancellationToken drain)
    {
        if (!drain.IsCancellationRequested)
        {
            var delay = _backoff.Next();
            log((long)delay.TotalMilliseconds);
            await WaitAsync(delay, drain);
        }
    }

    private async Task WaitAsync(TimeSpan delay, CancellationToken drain)
    {
        try
        {
            await Task.Delay(delay, time, drain);
        }
        catch (OperationCanceledException)
        {
            // The program drains: the loop ends by itself.
        }
    }

    private (ControlSession Session, Task Run)[] Sessions()
    {
        lock (_gate)
        {
            return [.. _sessions];
        }
    }
}
