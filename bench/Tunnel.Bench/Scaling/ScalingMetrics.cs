using System.Globalization;
using Tunnel.Bench.Measures;

namespace Tunnel.Bench.Scaling;

/// <summary>So many streams at the same time, first with small requests, then each of them full.</summary>
internal sealed record ScalingStep(int Streams)
{
    /// <summary>With more full streams, client, ingress and target together fill the kernel's memory for TCP, and what is measured is how it drops segments.</summary>
    private const int MostFull = 256;

    public bool HasBulk => Streams <= MostFull;

    private string Suffix { get; } = Streams.ToString(CultureInfo.InvariantCulture);

    private string Title { get; } = Streams == 1 ? "1 stream" : string.Create(CultureInfo.InvariantCulture, $"{Streams:#,0} streams");

    public Metric Requests => new($"requests_{Suffix}", $"{Title}: requests per second", "/s");

    public Metric CpuRequests => new($"cpu_us_per_request_{Suffix}", "… processor time on the way, per request", "µs", HasRatio: false);

    public Metric Bulk => new($"bulk_{Suffix}", $"… full, application to target", "MiB/s");

    public Metric CpuBulk => new($"cpu_s_per_gib_{Suffix}", "… processor time on the way", "s/GiB", HasRatio: false);

    public Metric IngressRss => new($"rss_ingress_mib_{Suffix}", "… resident memory of the ingress afterwards", "MiB", HasRatio: false);

    public Metric ConnectorRss => new($"rss_connectors_mib_{Suffix}", "… resident memory of all connectors afterwards", "MiB", HasRatio: false);

    public IEnumerable<Metric> Metrics => HasBulk ? [Requests, CpuRequests, Bulk, CpuBulk, IngressRss, ConnectorRss] : [Requests, CpuRequests, IngressRss, ConnectorRss];
}
