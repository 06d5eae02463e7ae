using System.Globalization;
using Tunnel.Bench.Measures;

namespace Tunnel.Bench.Pooling;

/// <summary>One way of running pgbench against a pooler.</summary>
/// <param name="Name">What it is called while it runs.</param>
/// <param name="Arguments">Its arguments for pgbench.</param>
/// <param name="Clients">Its clients.</param>
/// <param name="Throughput">Its transactions per second.</param>
/// <param name="Cpu">The pooler's processor time.</param>
/// <param name="ClientCpu">pgbench's own; null when it does not matter.</param>
internal sealed record PoolerLoad(string Name, string[] Arguments, int Clients, Metric Throughput, Metric Cpu, Metric? ClientCpu = null)
{
    public static IReadOnlyList<PoolerLoad> All { get; } =
    [
        .. new[] { "simple", "prepared" }.SelectMany(mode => new[] { 1, 16, 64 }.Select(clients => InMode(mode, clients))),
        Logins("logins", "connect", "logins with SCRAM"),
        Logins("cheap logins", "cheap", "logins of a client that need not compute (one SCRAM iteration)") with { IsCheap = true },
    ];

    public bool IsPrepared => Arguments.Contains("prepared");

    public bool ConnectsAnew => Arguments.Contains("-C");

    /// <summary>Gets whether the role is used whose logins cost a client next to nothing.</summary>
    public bool IsCheap { get; private init; }

    private static PoolerLoad Logins(string name, string key, string title) => new(
        name, ["-C"], 4,
        new Metric($"tps_{key}", $"-S -C, 4 clients: {title}, one transaction each", "/s"),
        new Metric($"cpu_{key}", "… processor time of the pooler per 1,000", "s", HasRatio: false),
        new Metric($"cpu_client_{key}", "… processor time of pgbench itself per 1,000", "s", HasRatio: false));

    private static PoolerLoad InMode(string mode, int clients) => new(
        $"{mode} with {Text(clients)} client(s)", ["-M", mode], clients,
        new Metric($"tps_{mode}_{Text(clients)}", $"-S -M {mode}, {Text(clients)} client{(clients == 1 ? "" : "s")}: transactions per second", "/s"),
        new Metric($"cpu_{mode}_{Text(clients)}", "… processor time of the pooler per 1,000", "s", HasRatio: false));

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}

/// <summary>What is measured of a pooler.</summary>
internal static class PoolerMetrics
{
    public static readonly Metric LoadedMemory = new("rss_loaded_mib", "Resident memory after 64 clients in prepared mode", "MiB", HasRatio: false);
    public static readonly Metric IdleMemory = new("rss_idle_mib", "Resident memory with many idle clients", "MiB", HasRatio: false);
    public static readonly Metric IdleMemoryPerClient = new("rss_idle_kib_per_client", "… for each of them", "KiB", HasRatio: false);

    public static IReadOnlyList<Metric> All { get; } =
        [.. PoolerLoad.All.SelectMany(load => new[] { load.Throughput, load.Cpu, load.ClientCpu }.OfType<Metric>()), LoadedMemory, IdleMemory, IdleMemoryPerClient];
}
