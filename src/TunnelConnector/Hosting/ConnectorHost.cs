using Microsoft.Extensions.Logging;
using Shared.Hosting.Configuration;
using Shared.Hosting.Lifetime;
using Shared.Management;
using TunnelConnector.Channels;
using TunnelConnector.Configuration;
using TunnelConnector.Ingress;
using TunnelConnector.Metrics;

namespace TunnelConnector.Hosting;

/// <summary>
/// The connector's life: one link per ingress, until SIGTERM drains them; SIGHUP reloads the services.
/// </summary>
internal sealed class ConnectorHost(Func<ConnectorSettings> load, TimeProvider time, ILoggerFactory loggers)
{
    private readonly ILogger<ConnectorHost> _logger = loggers.CreateLogger<ConnectorHost>();
    private readonly ServiceManager _serviceManager = new();

    /// <summary>Runs until the signals say otherwise and all streams have ended or were cut.</summary>
    /// <exception cref="ConfigurationException">The configuration is wrong.</exception>
    /// <exception cref="IOException">The management address cannot be bound.</exception>
    public async Task RunAsync(ProcessSignals signals)
    {
        var settings = new CurrentSettings(load());
        var identity = new ConnectorIdentity(settings.Value.Name);
        using var metrics = new ConnectorMetrics();
        var server = new StreamServer(settings, metrics, time, loggers.CreateLogger<StreamServer>());
        var links = settings.Value.Ingresses
            .Select(ingress => new IngressLink(ingress, identity, settings, server, metrics, time, loggers))
            .ToArray();
        await using var management = await ManagementServer.StartAsync(
            settings.Value.Management, () => ConnectorReadiness.Of(links, signals.Drain.IsCancellationRequested), loggers, ConnectorMetrics.MeterName);
        metrics.Observe(links, settings.Value.Targets.Keys);
        _logger.Starting(identity.Id, ServicesOf(settings.Value));
        foreach (var link in links)
        {
            link.Registered += _serviceManager.Ready;
        }

        using var stop = new CancellationTokenSource();
        var running = Task.WhenAll(links.Select(link => link.RunAsync(signals.Drain, stop.Token)));
        await signals.WaitForDrainAsync(() => Reload(settings, links), _logger);
        await DrainAsync(links, settings.Value.Grace, signals);
        await stop.CancelAsync();
        await running;
        _logger.Stopped();
    }

    private async Task DrainAsync(IngressLink[] links, TimeSpan grace, ProcessSignals signals)
    {
        _serviceManager.Stopping();
        _logger.Draining(StreamsOf(links), grace.TotalSeconds);
        using var over = new CancellationTokenSource(grace, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(over.Token, signals.Stop);
        try
        {
            await Task.WhenAll(links.Select(link => link.DrainAsync(limit.Token)));
        }
        catch (OperationCanceledException)
        {
            _logger.DrainCut(StreamsOf(links));
            await Task.WhenAll(links.Select(static link => link.CutAsync()));
        }
    }

    private void Reload(CurrentSettings settings, IngressLink[] links)
    {
        ConnectorSettings fresh;
        try
        {
            fresh = load();
        }
        catch (ConfigurationException exception)
        {
            _logger.ReloadFailed(exception.Message);
            return;
        }

        settings.Replace(fresh with { Ingresses = settings.Value.Ingresses, Name = settings.Value.Name });
        foreach (var link in links)
        {
            link.OnServicesChanged();
        }

        _logger.Reloaded(ServicesOf(fresh));
    }

    private static int StreamsOf(IngressLink[] links) => links.Sum(static link => link.Streams);

    private static string ServicesOf(ConnectorSettings settings) =>
        string.Join(", ", settings.Targets.Keys.Order(StringComparer.Ordinal));
}
