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
    Uri ingress, string connectorId, CurrentSettings settings, StreamServer server, TimeProvider time, ILoggerFactory loggers)
{
    private readonly ILogger<IngressLink> _logger = loggers.CreateLogger<IngressLink>();
    private readonly Backoff _backoff = new(time, Random.Shared);
    private readonly Lock _gate = new();
    private readonly List<(ControlSession Session, Task<SessionEnd> Run)> _sessions = [];

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
                var session = new ControlSession(ingress, connectorId, dialer, new CarrierDialer(options, dialer), settings, server, time, loggers);
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
                        LogEnd(await run, delay);
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

    private void LogEnd(SessionEnd end, TimeSpan delay)
    {
        var milliseconds = (long)delay.TotalMilliseconds;
        if (end.Failure is { } failure)
        {
            _logger.Unreachable(ingress, failure.Hop.ToWire(), failure.Code, end.Reason, milliseconds);
        }
        else
        {
            _logger.Disconnected(ingress, end.Reason, milliseconds);
        }
    }

    private void OnRegistered()
    {
        _backoff.Connected();
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
