using System.Globalization;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Measures;
using Tunnel.Bench.Processes;
using Tunnel.Bench.Reporting;

namespace Tunnel.Bench.Scaling;

/// <summary>Throughput, processor time and memory as streams and connectors grow in number; then what the runtimes count under load.</summary>
internal sealed class ScalingSuite : ISuite
{
    private static readonly int[] Connectors = [1, 2, 4, 8];
    private static readonly int[] Streams = [1, 2, 4, 16, 64, 256, 1000];
    private static readonly int[] QuickConnectors = [1, 4];
    private static readonly int[] QuickStreams = [1, 16, 256];

    public string Name => "scaling";

    public IReadOnlyList<string> Contenders { get; } = [.. Connectors.Select(NameOf), SteadyLoad.TunnelName, SteadyLoad.PoolerName];

    public async Task<IReadOnlyList<SuiteReport>> RunAsync(BenchRun run, CancellationToken cancellationToken)
    {
        var reports = new List<SuiteReport>();
        if (run.IsWanted(Connectors.Select(NameOf)))
        {
            reports.Add(await ScaleAsync(run, cancellationToken));
        }

        if (run.IsWanted(SteadyLoad.TunnelName, SteadyLoad.PoolerName))
        {
            reports.Add(await SteadyLoad.RunAsync(run, cancellationToken));
        }

        return reports;
    }

    private static async Task<SuiteReport> ScaleAsync(BenchRun run, CancellationToken cancellationToken)
    {
        var options = run.Options;
        var samples = new Samples();
        var steps = (options.IsQuick ? QuickStreams : Streams).Select(streams => new ScalingStep(streams)).ToArray();
        var chains = new List<TunnelChain>();
        try
        {
            List<(Contender Contender, TunnelChain? Chain)> ways =
                [(new Contender(Contender.Base, "client → target", run.Database.TcpEndPoint, run.Raw.TcpEndPoint, []), null)];
            foreach (var count in (options.IsQuick ? QuickConnectors : Connectors).Where(count => run.IsWanted(NameOf(count))))
            {
                chains.Add(await TunnelChain.StartAsync(run, $"c{count}", new TunnelChainOptions { Connectors = count, HasForwarders = false }, cancellationToken));
                var way = string.Create(CultureInfo.InvariantCulture, $"client → ingress's TCP listener → wss → one of {count} → target");
                ways.Add((chains[^1].IngressTcp with { Name = NameOf(count), Way = way }, chains[^1]));
            }

            await run.SayAsync("scaling: warming up");
            foreach (var (contender, _) in ways)
            {
                await samples.AttemptAsync(contender.Name, "warming up", () => RequestLoad.RunAsync(contender.Raw, 16, options.ScalingDuration, cancellationToken), cancellationToken);
                await samples.AttemptAsync(contender.Name, "warming up", () => BulkTransfer.UploadManyAsync(contender.Raw, 4, options.ScalingSeconds, cancellationToken), cancellationToken);
            }

            for (var round = 0; round < options.ScalingRounds; round++)
            {
                await run.SayAsync($"scaling: round {round + 1} of {options.ScalingRounds}");
                var shift = round % ways.Count;
                foreach (var step in steps)
                {
                    foreach (var (contender, chain) in ways.Skip(shift).Concat(ways.Take(shift)))
                    {
                        await samples.AttemptAsync(
                            contender.Name, $"{step.Streams} streams", () => MeasureAsync(contender, chain, step, options, samples, cancellationToken), cancellationToken);
                    }
                }
            }

            return new SuiteReport(
                "scaling", "More streams, more connectors", [.. ways.Select(way => new ReportColumn(way.Contender.Name, way.Contender.Way))],
                [.. steps.SelectMany(step => step.Metrics)], samples);
        }
        finally
        {
            foreach (var chain in chains)
            {
                await chain.DisposeAsync();
            }
        }
    }

    private static async Task MeasureAsync(
        Contender contender, TunnelChain? chain, ScalingStep step, BenchOptions options, Samples samples, CancellationToken cancellationToken)
    {
        var start = ProcessUsage.CpuSeconds(contender.Processes);
        var requests = await RequestLoad.RunAsync(contender.Raw, step.Streams, options.ScalingDuration, cancellationToken);
        var middle = ProcessUsage.CpuSeconds(contender.Processes);
        samples.Add(contender.Name, step.Requests, requests.PerSecond);
        if (step.HasBulk)
        {
            var bulk = await BulkTransfer.UploadManyAsync(contender.Raw, step.Streams, options.ScalingSeconds, cancellationToken);
            samples.Add(contender.Name, step.Bulk, bulk.MebibytesPerSecond);
            if (chain is not null)
            {
                var end = ProcessUsage.CpuSeconds(contender.Processes);
                samples.Add(contender.Name, step.CpuBulk, (end - middle) / (bulk.Bytes / (1024.0 * 1024 * 1024)));
            }
        }

        if (chain is not null)
        {
            samples.Add(contender.Name, step.CpuRequests, (middle - start) / requests.Requests * 1_000_000);
            samples.Add(contender.Name, step.IngressRss, ProcessUsage.ResidentKiB(chain.IngressProcess) / 1024);
            samples.Add(contender.Name, step.ConnectorRss, chain.ConnectorProcesses.Sum(ProcessUsage.ResidentKiB) / 1024);
        }
    }

    private static string NameOf(int connectors) => connectors == 1 ? "1 connector" : string.Create(CultureInfo.InvariantCulture, $"{connectors} connectors");
}
