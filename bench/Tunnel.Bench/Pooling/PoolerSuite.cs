using Tunnel.Bench.Contenders;
using Tunnel.Bench.Measures;
using Tunnel.Bench.Processes;
using Tunnel.Bench.Reporting;

namespace Tunnel.Bench.Pooling;

/// <summary>The pooler beside Debian's PgBouncer, on plain loopback TCP, with SCRAM everywhere and the same number of server connections.</summary>
internal sealed class PoolerSuite : ISuite
{
    public string Name => "pooler";

    public IReadOnlyList<string> Contenders { get; } = [TunnelPooler.Name, PgBouncer.Name];

    public async Task<IReadOnlyList<SuiteReport>> RunAsync(BenchRun run, CancellationToken cancellationToken)
    {
        var samples = new Samples();
        var loads = new LoadRunner(run);
        IReadOnlyList<PoolerContender> contenders;
        await using (var pooler = run.IsWanted(TunnelPooler.Name) ? await StartPoolerAsync(run, "pooler", cancellationToken) : null)
        await using (var bouncer = run.IsWanted(PgBouncer.Name) ? await StartBouncerAsync(run, "bouncer", cancellationToken) : null)
        {
            contenders = [new PoolerContender(PoolerContender.Base, "client → database", run.Database.TcpEndPoint, null), .. Started(pooler, bouncer)];
            await run.SayAsync($"{Name}: warming up");
            await WarmUpAsync(run.Options, loads, contenders, samples, cancellationToken);
            for (var round = 0; round < run.Options.Rounds; round++)
            {
                await run.SayAsync($"{Name}: round {round + 1} of {run.Options.Rounds}");
                var shift = round % contenders.Count;
                await RunRoundAsync(run.Options, loads, [.. contenders.Skip(shift), .. contenders.Take(shift)], samples, cancellationToken);
            }
        }

        await MeasureIdleAsync(run, samples, cancellationToken);
        return [new SuiteReport(
            Name, "The pooler beside PgBouncer", [.. contenders.Select(contender => new ReportColumn(contender.Name, contender.Way))],
            PoolerMetrics.All, samples, run.IsWanted(PgBouncer.Name) ? PgBouncer.Name : null)];
    }

    // Lets the runtime compile what is hot, and the poolers fill their pools.
    private static async Task WarmUpAsync(
        BenchOptions options, LoadRunner loads, IReadOnlyList<PoolerContender> contenders, Samples samples, CancellationToken cancellationToken)
    {
        foreach (var contender in contenders)
        {
            foreach (var load in Loads(contender).Where(load => load.Clients is not 16))
            {
                await samples.AttemptAsync(
                    contender.Name, "warming up",
                    () => loads.RunAsync(contender, load, options.PgbenchSeconds, cancellationToken), cancellationToken);
            }
        }
    }

    private static async Task RunRoundAsync(
        BenchOptions options, LoadRunner loads, IReadOnlyList<PoolerContender> order, Samples samples, CancellationToken cancellationToken)
    {
        foreach (var load in PoolerLoad.All)
        {
            foreach (var contender in order.Where(contender => Loads(contender).Contains(load)))
            {
                await samples.AttemptAsync(
                    contender.Name, load.Name, () => MeasureAsync(options, loads, contender, load, samples, cancellationToken), cancellationToken);
            }
        }
    }

    private static async Task MeasureAsync(
        BenchOptions options, LoadRunner loads, PoolerContender contender, PoolerLoad load, Samples samples, CancellationToken cancellationToken)
    {
        WatchedProcess[] watched = contender.Pooler is { } pooler ? [pooler] : [];
        var before = ProcessUsage.CpuSeconds(watched);
        var clientsBefore = ProcessUsage.EndedChildrenCpuSeconds();
        var seconds = load.ConnectsAnew ? options.ConnectSeconds : options.PgbenchSeconds;
        var count = await loads.RunAsync(contender, load, seconds, cancellationToken);
        samples.Add(contender.Name, load.Throughput, count.PerSecond);
        if (load.ClientCpu is { } clientCpu)
        {
            samples.Add(contender.Name, clientCpu, (ProcessUsage.EndedChildrenCpuSeconds() - clientsBefore) / count.Transactions * 1000);
        }

        foreach (var process in watched)
        {
            samples.Add(contender.Name, load.Cpu, (ProcessUsage.CpuSeconds(watched) - before) / count.Transactions * 1000);
            if (load is { IsPrepared: true, Clients: 64 })
            {
                samples.Add(contender.Name, PoolerMetrics.LoadedMemory, ProcessUsage.ResidentKiB(process) / 1024);
            }
        }
    }

    // Each on a process of its own that did nothing before.
    private static async Task MeasureIdleAsync(BenchRun run, Samples samples, CancellationToken cancellationToken)
    {
        for (var round = 0; round < run.Options.IdleRounds; round++)
        {
            await run.SayAsync($"pooler: memory of {run.Options.IdleClients} idle clients, run {round + 1} of {run.Options.IdleRounds}");
            await using (var pooler = run.IsWanted(TunnelPooler.Name) ? await StartPoolerAsync(run, $"pooler-{round}", cancellationToken) : null)
            await using (var bouncer = run.IsWanted(PgBouncer.Name) ? await StartBouncerAsync(run, $"bouncer-{round}", cancellationToken) : null)
            {
                foreach (var contender in Started(pooler, bouncer))
                {
                    await samples.AttemptAsync(
                        contender.Name, "idle clients",
                        async () =>
                        {
                            var memory = await IdleClients.MeasureAsync(contender, run.Database.Pooled, run.Options.IdleClients, cancellationToken);
                            samples.Add(contender.Name, PoolerMetrics.IdleMemory, memory.ResidentKiB / 1024);
                            samples.Add(contender.Name, PoolerMetrics.IdleMemoryPerClient, memory.KiBPerClient);
                        },
                        cancellationToken);
                }
            }
        }
    }

    private static List<PoolerContender> Started(TunnelPooler? pooler, PgBouncer? bouncer)
    {
        var started = new List<PoolerContender>();
        if (pooler is not null)
        {
            started.Add(new PoolerContender(TunnelPooler.Name, "client → `tunnel-pooler run` → database", pooler.Address, pooler.Process));
        }

        if (bouncer is not null)
        {
            started.Add(new PoolerContender(
                PgBouncer.Name, bouncer.SharesStatements ? "client → PgBouncer → database" : "client → PgBouncer → database; this version keeps no prepared statements",
                bouncer.Address, bouncer.Process, bouncer.SharesStatements));
        }

        return started;
    }

    private static IEnumerable<PoolerLoad> Loads(PoolerContender contender) => PoolerLoad.All.Where(load => contender.SharesStatements || !load.IsPrepared);

    private static Task<TunnelPooler> StartPoolerAsync(BenchRun run, string directory, CancellationToken cancellationToken) => TunnelPooler.StartAsync(
        run.Programs, run.DirectoryFor(directory), run.Database.Pooled, TunnelPooler.TcpOrigin(run.Database.TcpEndPoint, tls: false), certificate: null, cancellationToken);

    private static Task<PgBouncer> StartBouncerAsync(BenchRun run, string directory, CancellationToken cancellationToken) =>
        PgBouncer.StartAsync(run.DirectoryFor(directory), run.Database.Pooled, run.Database.TcpEndPoint, certificate: null, cancellationToken);

    /// <summary>pgbench with either role.</summary>
    private sealed class LoadRunner(BenchRun run)
    {
        private readonly Pgbench _usual = new(run.Database.Pooled.Environment, Database.Name, run.Directory);
        private readonly Pgbench _cheap = new(run.Database.Pooled.Cheap!.Environment, Database.Name, run.Directory);

        public Task<PgbenchCount> RunAsync(PoolerContender contender, PoolerLoad load, int seconds, CancellationToken cancellationToken) =>
            (load.IsCheap ? _cheap : _usual).CountAsync(contender.Address, load.Arguments, load.Clients, seconds, cancellationToken);
    }
}
