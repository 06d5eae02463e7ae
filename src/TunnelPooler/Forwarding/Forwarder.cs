using Microsoft.Extensions.Logging;
using Shared.Hosting.Configuration;
using Shared.Hosting.Lifetime;
using Shared.Management;
using Shared.Pooling.Postgres;
using Shared.Streams;
using Shared.Streams.Dialing;
using Shared.Streams.Relaying;
using Shared.Streams.Sockets;

namespace TunnelPooler.Forwarding;

/// <summary>
/// Local listeners whose connections go to a tunnel hostname, for laptops and for tools that only speak TCP.
/// First stop of a byte: the application's socket here. Next stop: the ingress's hostname endpoint.
/// </summary>
internal sealed class Forwarder(ForwardSettings settings, Func<ForwardSettings> reload, ForwarderMetrics metrics, TimeProvider time, ILoggerFactory loggers)
{
    private readonly ILogger<Forwarder> _logger = loggers.CreateLogger<Forwarder>();
    private readonly StreamSet<string> _streams = new();
    private readonly ServiceManager _serviceManager = new();

    /// <summary>Runs until the signals say otherwise and all streams have ended or were cut. SIGHUP reloads the listeners.</summary>
    /// <exception cref="IOException">An address cannot be bound.</exception>
    public async Task RunAsync(ProcessSignals signals)
    {
        await using var dialer = new TunnelDialer(settings.Hostname.Host, settings.Hostname.Port, new WebSocketDialerOptions
        {
            Token = settings.Token,
            Trust = settings.Trust,
            ConnectTo = settings.ConnectTo,
            Timeout = settings.OpenTimeout,
            Time = time,
        });
        var listeners = new ListenerSet<ListenAddress>(
            static address => address,
            ConnectionLimit.Create(ConnectionLimit.ForStreams, _logger, time),
            (_, accepted, cut) => ServeAsync(dialer, accepted, cut),
            (address, exception) => _logger.AcceptFailed(exception, address.ToString()),
            time);
        metrics.Observe(_streams);
        var listening = new ListeningState(signals.Drain);
        await using var management = await ManagementServer.StartAsync(
            settings.Management, () => listening.Now($"{_streams.Count} connections"), loggers, ForwarderMetrics.MeterName);
        listeners.Apply(settings.Listen, OnListening);
        listening.Begin();
        _serviceManager.Ready();
        await signals.WaitForDrainAsync(() => Reload(listeners), _logger);
        await DrainAsync(listeners, signals.Stop);
        _logger.Stopped();
    }

    private void OnListening(ListenAddress asked, ListenAddress address) => _logger.ForwardListening(address.ToString(), settings.Hostname.ToString());

    private void Reload(ListenerSet<ListenAddress> listeners)
    {
        try
        {
            listeners.Apply(reload().Listen, OnListening);
            _logger.Reloaded();
        }
        catch (ConfigurationException exception)
        {
            _logger.ReloadFailed(exception.Message);
        }
        catch (IOException exception)
        {
            _logger.ReloadIncomplete(exception.Message);
        }
    }

    private async Task DrainAsync(ListenerSet<ListenAddress> listeners, CancellationToken stopNow)
    {
        _serviceManager.Stopping();
        listeners.Close();
        _logger.Draining(_streams.Count, settings.Grace.TotalSeconds);
        using var over = new CancellationTokenSource(settings.Grace, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(over.Token, stopNow);
        await using var cut = limit.Token.Register(() =>
        {
            _logger.DrainCut(_streams.Count);
            _streams.Close(new StreamAbort(AbortCode.Shutdown, "the forwarder's grace time is over"));
        });
        await listeners.StopAsync(limit.Token);
    }

    private async Task ServeAsync(TunnelDialer dialer, AcceptedConnection accepted, CancellationToken cancellationToken)
    {
        // Whoever can connect here may.
        accepted.Place.Recognize();
        var start = time.GetTimestamp();
        TunnelStream tunnel;
        var early = new EarlyData(accepted.Stream);
        try
        {
            tunnel = await dialer.OpenAsync(early, cancellationToken);
        }
        catch (DialException exception)
        {
            metrics.Failed(exception.Hop);
            _logger.StreamRefused(accepted.Remote, settings.Hostname.ToString(), exception.Hop.ToWire(), exception.Code, exception.Message);
            await StartupRefusal.AnswerAsync(early.Unread(), exception, time, cancellationToken);
            return;
        }
        catch (OperationCanceledException)
        {
            accepted.Stream.Abort(new StreamAbort(AbortCode.Shutdown, "the forwarder is shutting down"));
            await accepted.Stream.DisposeAsync();
            return;
        }

        await RelayAsync(accepted, early, tunnel, start);
    }

    private async Task RelayAsync(AcceptedConnection accepted, EarlyData early, TunnelStream tunnel, long start)
    {
        var hostname = settings.Hostname.ToString();
        using var entry = _streams.Add(tunnel.Id, accepted.Stream, tunnel.Stream);
        metrics.Opened();
        _logger.StreamOpened(tunnel.Id, hostname, accepted.Remote, Math.Round(time.GetElapsedTime(start).TotalMilliseconds, 3));
        var result = await Relay.RunAsync(
            early.Rest(), tunnel.Stream, new RelayOptions { HalfCloseTimeout = settings.HalfCloseTimeout }, time);
        _logger.StreamEnded(
            tunnel.Id, hostname, result.End.ToString(), result.EndedBy?.ToString() ?? "Forwarder", result.Reason?.ToString() ?? "end of stream",
            early.Sent.Length + result.BytesToTarget, result.BytesToApplication, (long)time.GetElapsedTime(start).TotalMilliseconds);
    }
}
