using System.Diagnostics;
using System.Diagnostics.Metrics;
using Shared.Streams.Dialing;
using Shared.Streams.Relaying;

namespace TunnelPooler.Forwarding;

/// <summary>The forwarder's instruments. The one label is the hop: codes may be an ingress's choice. Safe for concurrent use.</summary>
internal sealed class ForwarderMetrics : IDisposable
{
    /// <summary>The meter's name.</summary>
    public const string MeterName = "tunnel_forwarder";

    private readonly Meter _meter = new(MeterName);
    private readonly Counter<long> _opened;
    private readonly Counter<long> _failed;

    public ForwarderMetrics()
    {
        _opened = _meter.CreateCounter<long>("connections_opened", description: "Connections that reached the target");
        _failed = _meter.CreateCounter<long>("connections_failed", description: "Connections that did not, by the hop that failed");
    }

    /// <summary>Called once, by who keeps them.</summary>
    public void Observe(StreamSet<string> streams) =>
        _meter.CreateObservableGauge("connections", () => streams.Count, description: "Connections that are carried now");

    public void Opened() => _opened.Add(1);

    public void Failed(Hop hop) => _failed.Add(1, new TagList { { "hop", hop.ToWire() } });

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();
}
