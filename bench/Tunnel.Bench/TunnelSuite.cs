using Tunnel.Bench.Contenders;
using Tunnel.Bench.Distance;
using Tunnel.Bench.Measures;
using Tunnel.Bench.Reporting;

namespace Tunnel.Bench;

/// <summary>Every way to one PostgreSQL: direct, each way in of the tunnel, and its peers.</summary>
internal sealed class TunnelSuite : ISuite
{
    public const string DirectUnixName = "direct Unix";

    private static readonly Way[] Ways = [Way.Tunnel, Way.BehindProxy, Way.WebSockets, Way.Ssh, Way.Stunnel, Way.Haproxy];

    // Memory is measured of one contender at a time, on processes that did nothing before; a Unix listener's is that of a TCP listener.
    private static readonly (string Name, Way Way)[] IdleWays =
    [
        (TunnelChain.ForwarderName, Way.Tunnel), (TunnelChain.IngressTcpName, Way.Ingress), (TunnelChain.BehindProxyName, Way.BehindProxy),
        (TunnelChain.WebSocketsName, Way.WebSockets), (SshReverse.Name, Way.Ssh),
        (StunnelPair.Name, Way.Stunnel), (HaproxyPair.Name, Way.Haproxy),
    ];

    public string Name => "tunnel";

    public IReadOnlyList<string> Contenders { get; } = [DirectUnixName, .. Ways.SelectMany(way => way.Names)];

    public async Task<IReadOnlyList<SuiteReport>> RunAsync(BenchRun run, CancellationToken cancellationToken)
    {
        var (options, database, raw) = (run.Options, run.Database, run.Raw);
        var samples = new Samples();
        var bench = new Bench(options, new Pgbench(Database.ClientEnvironment, Database.Name, run.Directory), samples);
        IReadOnlyList<Contender> contenders;
        await using (var ways = await StartedWays.StartAsync(run, Ways, "w", Link.None, cancellationToken))
        {
            var directUnix = new Contender(DirectUnixName, "client → target, by a Unix socket", database.UnixEndPoint, raw.UnixEndPoint, []);
            contenders =
            [
                new Contender(Contender.Base, "client → target", database.TcpEndPoint, raw.TcpEndPoint, []),
                .. run.IsWanted(DirectUnixName) ? [directUnix] : Array.Empty<Contender>(), .. ways.Contenders,
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
            foreach (var (name, way) in IdleWays.Where(entry => run.IsWanted(entry.Name)))
            {
                await using var started = await way.StartAsync(run, $"i{round}{Array.IndexOf(IdleWays, (name, way))}", Link.None, cancellationToken);
                await bench.MeasureIdleAsync(started.Contenders.First(contender => contender.Name == name), cancellationToken);
            }
        }

        return [new SuiteReport(
            Name, "Ways to the database", [.. contenders.Select(contender => new ReportColumn(contender.Name, contender.Way))], Metric.All, samples)];
    }
}
