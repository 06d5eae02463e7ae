using Prometheus;

namespace Shared.Pooling.Hosting;

/// <summary>Collects meters for Prometheus, from the start on. Safe for concurrent use.</summary>
public sealed class PrometheusExport : IDisposable
{
    /// <summary>The type of the text it writes.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly IDisposable _adapter;

    /// <summary>Begins to collect.</summary>
    /// <param name="meters">The meters' names.</param>
    public PrometheusExport(params string[] meters)
    {
        _adapter = MeterAdapter.StartListening(new MeterAdapterOptions
        {
            Registry = _registry,
            MetricFactory = Prometheus.Metrics.WithCustomRegistry(_registry),
            InstrumentFilterPredicate = instrument => meters.Contains(instrument.Meter.Name),
        });
    }

    /// <summary>Writes all metrics as they are now.</summary>
    public Task WriteAsync(Stream stream, CancellationToken cancellationToken) => _registry.CollectAndExportAsTextAsync(stream, cancellationToken);

    /// <inheritdoc/>
    public void Dispose() => _adapter.Dispose();
}
