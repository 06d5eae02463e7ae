using System.Diagnostics;
using System.Diagnostics.Metrics;
using Shared.Streams.Dialing;
using Shared.Streams.Relaying;
using Shared.Streams.Sockets;
using TunnelIngress.Connectors;
using TunnelIngress.State;
using TunnelIngress.Streams;
using TunnelIngress.Web;

namespace TunnelIngress.Metrics;

/// <summary>The ingress's instruments. Labels are tunnels, services, hops and codes only: all bounded, none secret. Safe for concurrent use.</summary>
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
    private readonly Counter<long> _connectionsRefused;
    private readonly Histogram<double> _opening;
    private readonly Counter<long> _requests;
    private readonly Counter<long> _requestsFailed;
    private readonly Histogram<double> _answering;

    public IngressMetrics(StreamSet<StreamInfo> streams, StreamSet<RequestInfo> requests, ConnectorRegistry connectors, StateWatcher state)
    {
        _opened = _meter.CreateCounter<long>("streams_opened", description: "Streams opened");
        _refused = _meter.CreateCounter<long>("streams_refused", description: "Streams refused, by hop and code");
        _ended = _meter.CreateCounter<long>("streams_ended", description: "Streams ended, by how");
        _bytes = _meter.CreateCounter<long>("stream_bytes", description: "Bytes of ended streams, by direction");
        _denied = _meter.CreateCounter<long>("access_denied", description: "Service tokens that were not accepted");
        _connectionsRefused = _meter.CreateCounter<long>("connections_refused", description: "Connections closed because too many were open, by limit");
        _opening = _meter.CreateHistogram(
            "stream_open_seconds",
            unit: null,
            description: "Time from an accepted request to a connected target",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15] });
        _requests = _meter.CreateCounter<long>("http_requests", description: "Requests to HTTP services, by class of status");
        _requestsFailed = _meter.CreateCounter<long>("http_requests_failed", description: "Requests that no origin answered, by hop and code");
        _answering = _meter.CreateHistogram(
            "http_answer_seconds",
            unit: null,
            description: "Time from a request's headers to those of its origin's answer",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] });
        _meter.CreateObservableGauge("http_requests_running", () => requests.Count, description: "Requests to HTTP services running now");
        _meter.CreateObservableGauge("streams", () => streams.Count, description: "Streams running now");
        _meter.CreateObservableGauge(
            "connectors",
            () => state.Current.Tunnels.Keys.Select(tunnel => new Measurement<int>(connectors.CountOnline(tunnel), new TagList { { "tunnel", tunnel } })),
            description: "Connectors that take new streams now, by tunnel");
        _meter.CreateObservableGauge(
            "carriers", () => connectors.All.Sum(static session => session.Carriers), description: "Connections of connectors that streams share");
        _meter.CreateObservableGauge(
            "parked_channels", () => connectors.All.Sum(static session => session.Parked), description: "Data channels ready for a stream");
    }

    /// <summary>Called once, by who makes it.</summary>
    public void ObserveConnections(AcceptBudget budget) =>
        _meter.CreateObservableGauge("connections", () => budget.Count, description: "Connections of connectors and applications open now");

    public void ConnectionRefused(AcceptRefusal refusal) =>
        _connectionsRefused.Add(1, new TagList { { "limit", refusal.ToString().ToLowerInvariant() } });

    /// <summary>Called once, when there is a certificate that somebody else renews.</summary>
    public void ObserveCertificate(Func<TimeSpan> left) =>
        _meter.CreateObservableGauge(
            "certificate_expires_seconds", () => (long)left().TotalSeconds, description: "Time until the certificate in use expires; negative once it has");

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

    /// <param name="service">The service.</param>
    /// <param name="status">The answer's status.</param>
    /// <param name="answeredAfter">When its origin answered; null when it did not.</param>
    public void RequestEnded(string service, int status, TimeSpan? answeredAfter)
    {
        _requests.Add(1, new TagList { { "service", service }, { "status", ClassOf(status) } });
        if (answeredAfter is { } time)
        {
            _answering.Record(time.TotalSeconds, new TagList { { "service", service } });
        }
    }

    public void RequestFailed(string service, Hop hop, string code) =>
        _requestsFailed.Add(1, new TagList { { "service", service }, { "hop", hop.ToWire() }, { "code", code } });

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();

    private static string ClassOf(int status) => (status / 100) switch { 1 => "1xx", 2 => "2xx", 3 => "3xx", 4 => "4xx", _ => "5xx" };
}
