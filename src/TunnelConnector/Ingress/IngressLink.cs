using Microsoft.Extensions.Logging;
using Shared.Streams.Dialing;
using TunnelConnector.Channels;
using TunnelConnector.Configuration;
using TunnelConnector.Metrics;

namespace TunnelConnector.Ingress;

/// <summary>
/// Keeps this connector registered at one ingress for ever: a session, and after its end another one. When the ingress drains, the
/// next session starts while the old one still carries its streams: behind one name there may be another ingress.
/// </summary>
internal sealed class IngressLink(
    Uri ingress, ConnectorIdentity identity, CurrentSettings settings, StreamServer server, ConnectorMetrics metrics, TimeProvider time, ILoggerFactory loggers)
{
    private const string Ended = "not registered: the session has ended";

    private readonly ILogger<IngressLink> _logger = loggers.CreateLogger<IngressLink>();
    private readonly Backoff _backoff = new(time, Random.Shared);
    private readonly Lock _gate = new();
    private readonly List<(ControlSession Session, Task<SessionEnd> Run)> _sessions = [];
    private volatile string _missing = "not registered yet";

    /// <summary>Raised at each registration.</summary>
    public event Action? Registered;

    /// <summary>The ingress's host and port, for people and metrics.</summary>
    public string Address => ingress.Authority;

    /// <summary>How it is now.</summary>
    public LinkStatus Status
    {
        get
        {
            var standing = Sessions().Where(static session => session.Session.IsRegistered).ToArray();
            return Array.Exists(standing, static session => !session.Session.IngressDrains.IsCompleted)
                ? new(true, "registered")
                : new(false, standing.Length > 0 ? "registered, but the ingress drains and gives no new streams" : _missing);
        }
    }

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

    /// <summary>Registers again and again until a drain is asked for; then returns when the last session has ended.</summary>
    /// <param name="drain">Ends the reconnecting.</param>
    /// <param name="stop">Ends the sessions and cuts their streams.</param>
    public async Task RunAsync(CancellationToken drain, CancellationToken stop)
    {
        var options = new WebSocketDialerOptions { Token = settings.Value.Token, Trust = settings.Value.Trust, Time = time };
        using var dialer = new WebSocketDialer(options);
        try
        {
            while (!drain.IsCancellationRequested)
            {
                var session = new ControlSession(ingress, identity, dialer, new CarrierDialer(options, dialer), settings, server, time, loggers);
                var run = RunSessionAsync(session, stop);
                lock (_gate)
                {
                    _sessions.RemoveAll(static ended => ended.Run.IsCompleted);
                    _sessions.Add((session, run));
                }

                var first = await Task.WhenAny(run, session.IngressDrains);
                if (!drain.IsCancellationRequested)
                {
                    // A drained ingress may be this one's only replica, so the backoff applies to it, too.
                    var delay = _backoff.Next();
                    if (first == run)
                    {
                        TellEnd(await run, session.HasRegistered, delay);
                    }

                    await WaitAsync(delay, drain);
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

    /// <summary>Cuts the streams that the grace time was not enough for.</summary>
    public Task CutAsync() => Task.WhenAll(Sessions().Select(static session => session.Session.CutAsync()));

    /// <summary>The configuration was reloaded.</summary>
    public void OnServicesChanged()
    {
        foreach (var (session, _) in Sessions())
        {
            session.OnServicesChanged();
        }
    }

    /// <summary>Runs a session; how it ended is a value, so that the loop above decides what follows.</summary>
    private async Task<SessionEnd> RunSessionAsync(ControlSession session, CancellationToken stop)
    {
        try
        {
            return new SessionEnd(null, $"{await session.RunAsync(OnRegistered, stop)}.");
        }
        catch (DialException exception)
        {
            return new SessionEnd(exception, exception.Message);
        }
        catch (IOException exception)
        {
            return new SessionEnd(null, $"{exception.Message.TrimEnd('.')}.");
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return new SessionEnd(null, "the connector stops.");
        }
        catch (Exception exception)
        {
            _logger.SessionFault(exception, ingress);
            return new SessionEnd(null, "internal error.");
        }
    }

    private void TellEnd(SessionEnd end, bool hadRegistered, TimeSpan delay)
    {
        if (hadRegistered)
        {
            metrics.SessionLost(Address);
        }
        else
        {
            metrics.RegistrationFailed(Address, end.Failure?.Hop ?? Hop.Ingress);
        }

        var milliseconds = (long)delay.TotalMilliseconds;
        if (end.Failure is { } failure)
        {
            _missing = $"not registered: the last attempt failed at hop {failure.Hop.ToWire()} ({failure.Code})";
            _logger.Unreachable(ingress, failure.Hop.ToWire(), failure.Code, end.Reason, milliseconds);
        }
        else
        {
            _missing = hadRegistered ? Ended : "not registered: the ingress did not finish the registration";
            _logger.Disconnected(ingress, end.Reason, milliseconds);
        }
    }

    private void OnRegistered()
    {
        _backoff.Connected();
        _missing = Ended;
        metrics.Registered(Address);
        Registered?.Invoke();
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

    private (ControlSession Session, Task<SessionEnd> Run)[] Sessions()
    {
        lock (_gate)
        {
            return [.. _sessions];
        }
    }

    /// <summary>How a session ended.</summary>
    /// <param name="Failure">The hop, when it could not begin.</param>
    /// <param name="Reason">One sentence.</param>
    private sealed record SessionEnd(DialException? Failure, string Reason);
}
