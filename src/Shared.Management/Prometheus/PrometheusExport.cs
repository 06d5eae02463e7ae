using System.Diagnostics.Metrics;
using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace Shared.Management.Prometheus;

/// <summary>Collects meters for Prometheus, from the start on. Safe for concurrent use.</summary>
public sealed class PrometheusExport : IDisposable
{
    /// <summary>The type of the text it writes.</summary>
    public const string ContentType = PrometheusText.ContentType;

    /// <summary>What tells how a process fares; the platform has ten times as many.</summary>
    private static readonly HashSet<string> OfThePlatform =
    [
        "dotnet.process.cpu.time", "dotnet.process.memory.working_set", "dotnet.gc.collections", "dotnet.gc.heap.total_allocated", "dotnet.gc.pause.time",
        "dotnet.gc.last_collection.heap.size", "dotnet.monitor.lock_contentions", "dotnet.exceptions",
        "kestrel.active_connections", "kestrel.rejected_connections", "kestrel.active_tls_handshakes",
    ];

    /// <summary>Of one instrument: services, hops and codes multiply.</summary>
    private const int MostSeries = 20_000;

    private readonly SemaphoreSlim _collecting = new(1);
    private readonly Exporter _exporter = new();
    private readonly BaseExportingMetricReader _reader;
    private readonly MeterProvider _provider;

    /// <summary>Begins to collect.</summary>
    /// <param name="meters">The program's own meters, whose names begin those of their instruments.</param>
    public PrometheusExport(params string[] meters)
    {
        _reader = new BaseExportingMetricReader(_exporter) { TemporalityPreference = MetricReaderTemporalityPreference.Cumulative };
        _provider = Sdk.CreateMeterProviderBuilder()
            .AddMeter([.. meters, "System.Runtime", "Microsoft.AspNetCore.Server.Kestrel"])
            .AddView(instrument => ConfigurationOf(instrument, meters))
            .AddReader(_reader)
            .Build();
    }

    private static MetricStreamConfiguration ConfigurationOf(Instrument instrument, string[] meters) =>
        meters.Contains(instrument.Meter.Name) || OfThePlatform.Contains(instrument.Name)
            ? new MetricStreamConfiguration { CardinalityLimit = MostSeries }
            : MetricStreamConfiguration.Drop;

    /// <summary>Writes all metrics as they are now.</summary>
    /// <exception cref="IOException">The reader has gone.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task WriteAsync(Stream stream, CancellationToken cancellationToken)
    {
        byte[] text;
        await _collecting.WaitAsync(cancellationToken);
        try
        {
            _reader.Collect();
            text = _exporter.Take();
        }
        finally
        {
            _collecting.Release();
        }

        await stream.WriteAsync(text, cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _provider.Dispose();
        _reader.Dispose();
        _exporter.Dispose();
        _collecting.Dispose();
    }

    /// <summary>Keeps the text of one collection for whoever has asked for it.</summary>
    private sealed class Exporter : BaseExporter<Metric>
    {
        private readonly PrometheusText _text = new();

        public override ExportResult Export(in Batch<Metric> batch)
        {
            foreach (var metric in batch)
            {
                _text.Add(metric);
            }

            return ExportResult.Success;
        }

        public byte[] Take() => _text.Take();
    }
}
