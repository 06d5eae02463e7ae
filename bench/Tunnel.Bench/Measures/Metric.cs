namespace Tunnel.Bench.Measures;

/// <summary>One measured quantity.</summary>
/// <param name="Key">Its key in the JSON file.</param>
/// <param name="Title">Its row in the table.</param>
/// <param name="Unit">Its unit.</param>
/// <param name="HasRatio">Whether direct TCP has it too, so that a ratio to direct means something.</param>
/// <param name="HasRivalRatio">Whether the ratio to a rival says more than another row does.</param>
internal sealed record Metric(string Key, string Title, string Unit, bool HasRatio = true, bool HasRivalRatio = true)
{
    public static readonly Metric Latency1 = new("latency_1", "pgbench -S prepared, 1 client: average latency", "ms");
    public static readonly Metric Tail1 = new("p99_1", "… 99th percentile", "ms");
    public static readonly Metric Throughput16 = new("tps_16", "pgbench -S prepared, 16 clients: transactions per second", "/s");
    public static readonly Metric Latency16 = new("latency_16", "… average latency", "ms");
    public static readonly Metric Tail16 = new("p99_16", "… 99th percentile", "ms");
    public static readonly Metric Cpu16 = new("cpu_us_per_transaction_16", "… processor time on the way, per transaction", "µs", HasRatio: false);
    public static readonly Metric Connections = new("connections", "pgbench -S -C, 4 clients: connections per second", "/s");
    public static readonly Metric Upload = new("upload", "One stream, application to target", "MiB/s");
    public static readonly Metric CpuUpload = new("cpu_s_per_gib_upload", "… processor time on the way", "s/GiB", HasRatio: false);
    public static readonly Metric Download = new("download", "One stream, target to application", "MiB/s");
    public static readonly Metric CpuDownload = new("cpu_s_per_gib_download", "… processor time on the way", "s/GiB", HasRatio: false);
    public static readonly Metric Open = new("open_us", "Opening a stream, one at a time: until its first byte is echoed, p50", "µs");
    public static readonly Metric OpenConnected = new("open_connected_us", "… until the client is connected, p50", "µs");
    public static readonly Metric OpenRate = new("open_rate", "… 16 at a time: streams per second", "/s");
    public static readonly Metric CpuOpen = new("cpu_us_per_open", "… processor time on the way, per stream", "µs", HasRatio: false);
    public static readonly Metric IdleMemory = new("idle_kib_per_stream", "Memory per idle stream, all processes on the way", "KiB", HasRatio: false);

    public static IReadOnlyList<Metric> All { get; } =
        [
            Latency1, Tail1, Throughput16, Latency16, Tail16, Cpu16, Connections, Open, OpenConnected, OpenRate, CpuOpen, Upload, CpuUpload, Download, CpuDownload,
            IdleMemory,
        ];
}
