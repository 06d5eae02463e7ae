using System.Globalization;
using Tunnel.Bench.Measures;

namespace Tunnel.Bench.Pooling;

/// <summary>One way of running pgbench against a pooler.</summary>
/// <param name="Name">What it is called while it runs.</param>
/// <param name="Arguments">Its arguments for pgbench.</param>
/// <param name="Clients">Its clients.</param>
/// <param name="Throughput">Its transactions per second.</param>
/// <param name="Cpu">The pooler's processor time.</param>
internal sealed record PoolerLoad(string Name, string[] Arguments, int Clients, Metric Throughput, Metric Cpu)
{
    public static IReadOnlyList<PoolerLoad> All { get; } =
    [
        .. new[] { "simple", "prepared" }.SelectMany(mode => new[] { 1, 16, 64 }.Select(clients => InMode(mode, clients))),
        new(
            "logins", ["-C"], 4, new Metric("tps_connect", "-S -C, 4 clients: logins with SCRAM, one transaction each", "/s"), Cpu4Logins),
    ];

    public bool IsPrepared => Arguments.Contains("prepared");

    public bool ConnectsAnew => Arguments.Contains("-C");

    private static Metric Cpu4Logins => new("cpu_connect", "… processor time of the pooler per 1,000", "s", HasRatio: false);

    private static PoolerLoad InMode(string mode, int clients) => new(
        $"{mode} with {Text(clients)} client(s)", ["-M", mode], clients,
        new Metric($"tps_{mode}_{Text(clients)}", $"-S -M {mode}, {Text(clients)} client{(clients == 1 ? "" : "s")}: transactions per second", "/s"),
        new Metric($"cpu_{mode}_{Text(clients)}", "… processor time of the pooler per 1,000", "s", HasRatio: false));

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}

/// <summary>What is measured of a pooler.</summary>
internal static class PoolerMetrics
{
    public static readonly Metric ClientCpu = new("cpu_client_connect", "… processor time of pgbench itself per 1,000", "s", HasRatio: false);
    public static readonly Metric LoadedMemory = new("rss_loaded_mib", "Resident memory after 64 clients in prepared mode", "MiB", HasRatio: false);
    public static readonly Metric IdleMemory = new("rss_idle_mib", "Resident memory with many idle clients", "MiB", HasRatio: false);
    public static readonly Metric IdleMemoryPerClient = new("rss_idle_kib_per_client", "… for each of them", "KiB", HasRatio: false);

    public static IReadOnlyList<Metric> All { get; } =
        [.. PoolerLoad.All.SelectMany(load => new[] { load.Throughput, load.Cpu }), ClientCpu, LoadedMemory, IdleMemory, IdleMemoryPerClient];
}
