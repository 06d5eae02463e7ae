using System.Diagnostics;
using System.Diagnostics.Metrics;
using Shared.Streams.Dialing;
using Shared.Streams.Relaying;
using TunnelIngress.Connectors;
using TunnelIngress.Streams;

namespace TunnelIngress.Metrics;

/// <summary>The ingress's instruments. Labels are services, hops and codes only: all bounded, none secret. Safe for concurrent use.</summary>
internal sealed class IngressMetrics : IDisposable
{
    /// <summary>The meter's name.</summary>
    public const string MeterName = "tunnel_ingress";

    private readonly Meter _meter = new(MeterName);
    private readonly Counter<long> _opened;
    private readonly Counter<long> _refused;
    private readonly Counter<long> _ended;
    private readonly Counter<long> _bytes;
    private readonly Counter<long> _denied;
    private readonly Histogram<double> _opening;

    public IngressMetrics(StreamSet<StreamInfo> streams, ConnectorRegistry connectors)
    {
        _opened = _meter.CreateCounter<long>("streams_opened", description: "Streams opened");
        _refused = _meter.CreateCounter<long>("streams_refused", description: "Streams refused, by hop and code");
        _ended = _meter.CreateCounter<long>("streams_ended", description: "Streams ended, by how");
        _bytes = _meter.CreateCounter<long>("stream_bytes", description: "Bytes of ended streams, by direction");
        _denied = _meter.CreateCounter<long>("access_denied", description: "Upgrades with a service token that was not accepted");
        _opening = _meter.CreateHistogram(
            "stream_open_seconds",
            unit: null,
            description: "Time from an accepted request to a connected target",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15] });
        _meter.CreateObservableGauge("streams", () => streams.Count, description: "Streams running now");
        _meter.CreateObservableGauge("connectors", () => connectors.Count, description: "Connectors online now");
        _meter.CreateObservableGauge(
            "carriers", () => connectors.All.Sum(static session => session.Carriers), description: "Connections of connectors that streams share");
        _meter.CreateObservableGauge(
            "parked_channels", () => connectors.All.Sum(static session => session.Parked), description: "Data channels ready for a stream");
    }

    /// <summary>Called once, by who keeps them.</summary>
    public void ObserveApplicationCarriers(Func<int> count) =>
        _meter.CreateObservableGauge("application_carriers", count, description: "Connections of applications that streams share");

    public void StreamOpened(string service, TimeSpan opening)
    {
        _opened.Add(1, new TagList { { "service", service } });
        _opening.Record(opening.TotalSeconds, new TagList { { "service", service } });
    }

    public void StreamRefused(string service, DialException failure) =>
        _refused.Add(1, new TagList { { "service", service }, { "hop", failure.Hop.ToWire() }, { "code", failure.Code } });

    public void StreamEnded(string service, RelayResult result)
    {
        _ended.Add(1, new TagList { { "service", service }, { "end", result.End.ToString().ToLowerInvariant() } });
        _bytes.Add(result.BytesToTarget, new TagList { { "service", service }, { "direction", "to_target" } });
        _bytes.Add(result.BytesToApplication, new TagList { { "service", service }, { "direction", "to_application" } });
    }

    public void AccessDenied() => _denied.Add(1);

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();
}
