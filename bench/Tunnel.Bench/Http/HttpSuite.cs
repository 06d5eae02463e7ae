using System.Net;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Distance;
using Tunnel.Bench.Measures;
using Tunnel.Bench.Processes;
using Tunnel.Bench.Reporting;

namespace Tunnel.Bench.Http;

/// <summary>Requests to a private web server: direct, by the tunnel's HTTP hostname, and by ways that pass bytes.</summary>
internal sealed class HttpSuite : ISuite
{
    private const string Base = "direct";
    private const string DirectTls = "direct, TLS";
    private const string HostnameName = "HTTP hostname";
    private const string BytesName = "ingress TCP, HTTP";

    private static readonly HttpLoad[] Loads = [new(1), new(64)];

    public string Name => "http";

    public IReadOnlyList<string> Contenders { get; } = [DirectTls, HostnameName, BytesName, SshReverse.Name];

    public async Task<IReadOnlyList<SuiteReport>> RunAsync(BenchRun run, CancellationToken cancellationToken)
    {
        var samples = new Samples();
        await using var server = await WebServer.StartAsync(run, cancellationToken);
        await using var tunnel = run.IsWanted(HostnameName, BytesName) ? await HttpTunnel.StartAsync(run, server.Plain, cancellationToken) : null;
        await using var ssh = run.IsWanted(SshReverse.Name) ? await SshReverse.StartAsync(run, "ssh-http", Link.None, server.Plain, cancellationToken) : null;
        List<HttpContender> contenders = [new(Base, "client → nginx", Address("http", server.Plain), [])];
        Add(DirectTls, "client → TLS → nginx", Address("https", server.Tls), []);
        if (tunnel is not null)
        {
            Add(HostnameName, "client → TLS → ingress, which speaks HTTP → connector → nginx", tunnel.Address, tunnel.Processes);
            Add(BytesName, "client → ingress's TCP listener, which passes bytes → wss → connector → nginx", Address("http", tunnel.Bytes), tunnel.Processes);
        }

        if (ssh?.Further is { } forwarded)
        {
            Add(SshReverse.Name, "client → sshd → ssh → nginx", Address("http", forwarded), ssh.Contender.Processes);
        }

        await run.SayAsync($"{Name}: warming up");
        foreach (var contender in contenders)
        {
            await samples.AttemptAsync(contender.Name, "warming up", () => RunAsync(contender, Loads[^1], run.Options, cancellationToken), cancellationToken);
        }

        for (var round = 0; round < run.Options.Rounds; round++)
        {
            await run.SayAsync($"{Name}: round {round + 1} of {run.Options.Rounds}");
            var shift = round % contenders.Count;
            foreach (var load in Loads)
            {
                foreach (var contender in contenders.Skip(shift).Concat(contenders.Take(shift)))
                {
                    await samples.AttemptAsync(contender.Name, load.Title, () => MeasureAsync(contender, load, run.Options, samples, cancellationToken), cancellationToken);
                }
            }
        }

        return [new SuiteReport(
            Name, "Requests to a private web server", [.. contenders.Select(contender => new ReportColumn(contender.Name, contender.Way))],
            [.. Loads.SelectMany(load => load.Metrics)], samples)];

        void Add(string name, string way, Uri address, IReadOnlyList<WatchedProcess> processes)
        {
            if (run.IsWanted(name))
            {
                contenders.Add(new HttpContender(name, way, address, processes));
            }
        }
    }

    private static Uri Address(string scheme, IPEndPoint endPoint) => new($"{scheme}://{endPoint}/");

    private static Task<WrkResult> RunAsync(HttpContender contender, HttpLoad load, BenchOptions options, CancellationToken cancellationToken) =>
        Wrk.RunAsync(contender.Address, load.Connections, options.HttpSeconds, cancellationToken);

    private static async Task MeasureAsync(HttpContender contender, HttpLoad load, BenchOptions options, Samples samples, CancellationToken cancellationToken)
    {
        var before = ProcessUsage.CpuSeconds(contender.Processes);
        var result = await RunAsync(contender, load, options, cancellationToken);
        samples.Add(contender.Name, load.PerSecond, result.PerSecond);
        samples.Add(contender.Name, load.MedianLatency, result.MedianMilliseconds);
        samples.Add(contender.Name, load.TailLatency, result.TailMilliseconds);
        if (contender.Processes.Count > 0)
        {
            samples.Add(contender.Name, load.Cpu, (ProcessUsage.CpuSeconds(contender.Processes) - before) / result.Requests * 1_000_000);
        }
    }

    private sealed record HttpContender(string Name, string Way, Uri Address, IReadOnlyList<WatchedProcess> Processes);

    /// <summary>So many connections that are kept open.</summary>
    private sealed record HttpLoad(int Connections)
    {
        public string Title { get; } = Connections == 1 ? "1 connection" : $"{Connections} connections";

        public Metric PerSecond => new($"requests_{Connections}", $"{Title}: requests per second", "/s");

        public Metric MedianLatency => new($"p50_{Connections}", "… 50th percentile", "ms");

        public Metric TailLatency => new($"p99_{Connections}", "… 99th percentile", "ms");

        public Metric Cpu => new($"cpu_us_per_request_{Connections}", "… processor time on the way, per request", "µs", HasRatio: false);

        public IEnumerable<Metric> Metrics => [PerSecond, MedianLatency, TailLatency, Cpu];
    }
}
