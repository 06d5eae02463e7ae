using Tunnel.Bench.Reporting;

namespace Tunnel.Bench.Distance;

/// <summary>Far from the target: a short-lived application with and without poolers, and single streams through tunnel and peers.</summary>
internal sealed class DistanceSuite : ISuite
{
    public string Name => "distance";

    public IReadOnlyList<string> Contenders { get; } = [.. FarApplication.Contenders, .. FarStreams.Contenders];

    public async Task<IReadOnlyList<SuiteReport>> RunAsync(BenchRun run, CancellationToken cancellationToken)
    {
        var reports = new List<SuiteReport>();
        if (run.IsWanted(FarApplication.Contenders))
        {
            reports.Add(await FarApplication.RunAsync(run, cancellationToken));
        }

        if (run.IsWanted(FarStreams.Contenders))
        {
            reports.Add(await FarStreams.RunAsync(run, cancellationToken));
        }

        return reports;
    }
}
