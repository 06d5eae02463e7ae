using Prometheus;

namespace TunnelIngress.Metrics;

/// <summary>Collects our meter, Kestrel's and the runtime's for Prometheus, from the start on. Safe for concurrent use.</summary>
internal sealed class PrometheusExport : IDisposable
{
    /// <summary>The type of the text it writes.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private static readonly string[] Meters = [IngressMetrics.MeterName, "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime"];

    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly IDisposable _adapter;

    public PrometheusExport()
    {
        _adapter = MeterAdapter.StartListening(new MeterAdapterOptions
        {
            Registry = _registry,
            MetricFactory = Prometheus.Metrics.WithCustomRegistry(_registry),
            InstrumentFilterPredicate = static instrument => Meters.Contains(instrument.Meter.Name),
        });
    }

    /// <summary>Writes all metrics as they are now.</summary>
    public Task WriteAsync(Stream stream, CancellationToken cancellationToken) => _registry.CollectAndExportAsTextAsync(stream, cancellationToken);

    /// <inheritdoc/>
    public void Dispose() => _adapter.Dispose();
}
