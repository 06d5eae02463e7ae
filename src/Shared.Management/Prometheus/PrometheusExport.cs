using System.Diagnostics.Metrics;
using System.Text;

namespace Shared.Management.Prometheus;

/// <summary>
/// Collects meters for Prometheus, from the start on. By the runtime's own listener and not by an SDK, which would cost every native program 2 MiB of
/// memory whether it is asked or not. Safe for concurrent use.
/// </summary>
public sealed class PrometheusExport : IDisposable
{
    /// <summary>The type of the text it writes.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>What tells how a process fares; the platform has ten times as many.</summary>
    private static readonly HashSet<string> OfThePlatform =
    [
        "dotnet.process.cpu.time", "dotnet.process.memory.working_set", "dotnet.gc.collections", "dotnet.gc.heap.total_allocated", "dotnet.gc.pause.time",
        "dotnet.gc.last_collection.heap.size", "dotnet.monitor.lock_contentions", "dotnet.exceptions",
        "kestrel.active_connections", "kestrel.rejected_connections", "kestrel.active_tls_handshakes",
    ];

    private readonly Lock _gate = new();
    private readonly Lock _collecting = new();
    private readonly List<MetricFamily> _families = [];
    private readonly string[] _meters;
    private readonly MeterListener _listener;

    /// <summary>Begins to collect.</summary>
    /// <param name="meters">The program's own meters, whose names begin those of their instruments.</param>
    public PrometheusExport(params string[] meters)
    {
        _meters = meters;
        _listener = new MeterListener { InstrumentPublished = OnPublished };
        _listener.SetMeasurementEventCallback<int>(static (_, value, tags, family) => ((MetricFamily)family!).Record(value, tags));
        _listener.SetMeasurementEventCallback<long>(static (_, value, tags, family) => ((MetricFamily)family!).Record(value, tags));
        _listener.SetMeasurementEventCallback<double>(static (_, value, tags, family) => ((MetricFamily)family!).Record(value, tags));
        _listener.Start();
    }

    /// <summary>Writes all metrics as they are now.</summary>
    /// <exception cref="IOException">The reader has gone.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task WriteAsync(Stream stream, CancellationToken cancellationToken) =>
        await stream.WriteAsync(Encoding.UTF8.GetBytes(Collect()), cancellationToken);

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private string Collect()
    {
        // Two at a time would each see half of what is observed.
        lock (_collecting)
        {
            foreach (var family in Families())
            {
                family.ForgetObserved();
            }

            _listener.RecordObservableInstruments();
            var text = new StringBuilder();
            foreach (var family in Families())
            {
                family.Write(text);
            }

            return text.ToString();
        }
    }

    private void OnPublished(Instrument instrument, MeterListener listener)
    {
        var isOurs = Array.IndexOf(_meters, instrument.Meter.Name) >= 0;
        if (isOurs || OfThePlatform.Contains(instrument.Name))
        {
            listener.EnableMeasurementEvents(instrument, FamilyOf(instrument, isOurs ? $"{instrument.Meter.Name}_{instrument.Name}" : instrument.Name));
        }
    }

    // Prometheus knows names only: instruments of the same name are one.
    private MetricFamily FamilyOf(Instrument instrument, string name)
    {
        var made = new MetricFamily(instrument, name);
        lock (_gate)
        {
            if (_families.Find(family => family.Name == made.Name) is { } known)
            {
                return known;
            }

            _families.Add(made);
            return made;
        }
    }

    private MetricFamily[] Families()
    {
        lock (_gate)
        {
            return [.. _families];
        }
    }
}
