using Tunnel.Bench.Contenders;
using Tunnel.Bench.Measures;
using Tunnel.Bench.Reporting;

namespace Tunnel.Bench;

/// <summary>Every way to one PostgreSQL: direct, each way in of the tunnel, and `ssh -R`.</summary>
internal sealed class TunnelSuite : ISuite
{
    private const string DirectUnixName = "direct Unix";

    public string Name => "tunnel";

    public IReadOnlyList<string> Contenders { get; } =
        [DirectUnixName, TunnelChain.ForwarderName, TunnelChain.IngressTcpName, TunnelChain.IngressUnixName, SshReverse.Name];

    public async Task<SuiteReport> RunAsync(BenchRun run, CancellationToken cancellationToken)
    {
        var (options, database, raw) = (run.Options, run.Database, run.Raw);
        var samples = new Samples();
        var bench = new Bench(options, new Pgbench(Database.ClientEnvironment, Database.Name, run.Directory), samples);
        IReadOnlyList<Contender> contenders;
        await using (var chain = run.IsWanted(TunnelChain.ForwarderName, TunnelChain.IngressTcpName, TunnelChain.IngressUnixName)
            ? await StartChainAsync(run, "chain", cancellationToken) : null)
        await using (var ssh = run.IsWanted(SshReverse.Name) ? await StartSshAsync(run, cancellationToken) : null)
        {
            Contender?[] all =
            [
                new Contender(DirectUnixName, "client → target, by a Unix socket", database.UnixEndPoint, raw.UnixEndPoint, []),
                chain?.Forwarder, chain?.IngressTcp, chain?.IngressUnix, ssh?.Contender,
            ];
            contenders =
            [
                new Contender(Contender.Base, "client → target", database.TcpEndPoint, raw.TcpEndPoint, []),
                .. all.OfType<Contender>().Where(contender => run.IsWanted(contender.Name)),
            ];
            await run.SayAsync($"{Name}: warming up");
            await bench.WarmUpAsync(contenders, cancellationToken);
            for (var round = 0; round < options.Rounds; round++)
            {
                await run.SayAsync($"{Name}: round {round + 1} of {options.Rounds}");
                await bench.RunRoundAsync(round, contenders, cancellationToken);
            }
        }

        for (var round = 0; round < options.IdleRounds; round++)
        {
            await run.SayAsync($"{Name}: memory of {options.IdleStreams} idle streams, run {round + 1} of {options.IdleRounds}");
            await MeasureIdleAsync(run, bench, round, cancellationToken);
        }

        return new SuiteReport(
            Name, "Ways to the database", [.. contenders.Select(contender => new ReportColumn(contender.Name, contender.Way))], Metric.All, samples);
    }

    // Each on processes of its own that did nothing before.
    private static async Task MeasureIdleAsync(BenchRun run, Bench bench, int round, CancellationToken cancellationToken)
    {
        if (run.IsWanted(TunnelChain.ForwarderName))
        {
            await using var chain = await StartChainAsync(run, $"f{round}", cancellationToken);
            await bench.MeasureIdleAsync(chain.Forwarder, cancellationToken);
        }

        if (run.IsWanted(TunnelChain.IngressTcpName))
        {
            await using var chain = await StartChainAsync(run, $"t{round}", cancellationToken);
            await bench.MeasureIdleAsync(chain.IngressTcp, cancellationToken);
        }

        if (run.IsWanted(SshReverse.Name))
        {
            await using var ssh = await StartSshAsync(run, cancellationToken);
            await bench.MeasureIdleAsync(ssh.Contender, cancellationToken);
        }
    }

    private static Task<TunnelChain> StartChainAsync(BenchRun run, string name, CancellationToken cancellationToken) =>
        TunnelChain.StartAsync(run.Programs, Path.Combine(run.Directory, name), run.Database.TcpEndPoint, run.Raw.TcpEndPoint, cancellationToken);

    private static Task<SshReverse> StartSshAsync(BenchRun run, CancellationToken cancellationToken) =>
        SshReverse.StartAsync(Path.Combine(run.Directory, "ssh"), run.Database.TcpEndPoint, run.Raw.TcpEndPoint, cancellationToken);
}
