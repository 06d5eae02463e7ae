using Tunnel.Bench.Contenders;
using Tunnel.Bench.Measures;
using Tunnel.Bench.Pooling;
using Tunnel.Bench.Processes;
using Tunnel.Bench.Reporting;

namespace Tunnel.Bench.Scaling;

/// <summary>
/// What the runtimes of ingress, connector and pooler count while a load goes on for a minute: collections, allocations and lock
/// contentions. It begins when the load has run for a while, so that what is allocated once is not counted.
/// </summary>
internal static class SteadyLoad
{
    public const string TunnelName = "steady tunnel";
    public const string PoolerName = "steady pooler";

    private const int Clients = 16;
    private const int BulkStreams = 4;

    private static readonly SteadyMetrics Requests = new("requests", $"{Clients} streams with small requests", "request");
    private static readonly SteadyMetrics Bulk = new("bulk", $"{BulkStreams} full streams", "MiB");
    private static readonly SteadyMetrics Transactions = new("transactions", $"pgbench -S prepared, {Clients} clients", "transaction");

    public static async Task<SuiteReport> RunAsync(BenchRun run, CancellationToken cancellationToken)
    {
        var samples = new Samples();
        var columns = new List<ReportColumn>();
        if (run.IsWanted(TunnelName))
        {
            await using var chain = await TunnelChain.StartAsync(run, "steady", new TunnelChainOptions { HasForwarders = false }, cancellationToken);
            WatchedProcess[] processes = [chain.IngressProcess, .. chain.ConnectorProcesses];
            columns.AddRange(processes.Select(process => new ReportColumn(process.Name, "the process of that name; the client uses the ingress's TCP listener")));
            await MeasureAsync(
                run, Requests, processes, samples,
                async duration => (await RequestLoad.RunAsync(chain.IngressTcp.Raw, Clients, duration, cancellationToken)).Requests, cancellationToken);
            await MeasureAsync(
                run, Bulk, processes, samples,
                async duration => (await BulkTransfer.UploadManyAsync(chain.IngressTcp.Raw, BulkStreams, (int)duration.TotalSeconds, cancellationToken)).Bytes / (1024.0 * 1024),
                cancellationToken);
        }

        if (run.IsWanted(PoolerName))
        {
            await using var pooler = await TunnelPooler.StartAsync(
                run.Programs, run.DirectoryFor("steady-pooler"), run.Database.Pooled, TunnelPooler.TcpOrigin(run.Database.TcpEndPoint, tls: false), certificate: null,
                cancellationToken);
            columns.Add(new ReportColumn(TunnelPooler.Name, "`tunnel-pooler run` between pgbench and the database, plain TCP"));
            var pgbench = new Pgbench(run.Database.Pooled.Environment, Database.Name, run.Directory);
            await MeasureAsync(
                run, Transactions, [pooler.Process], samples,
                async duration =>
                    (await pgbench.CountAsync(pooler.Address, ["-M", "prepared"], Clients, (int)duration.TotalSeconds, cancellationToken)).Transactions,
                cancellationToken);
        }

        return new SuiteReport(
            "steady", "What the runtimes count under a steady load", columns, [.. Requests.All, .. Bulk.All, .. Transactions.All], samples);
    }

    private static async Task MeasureAsync(
        BenchRun run, SteadyMetrics metrics, WatchedProcess[] processes, Samples samples, Func<TimeSpan, Task<double>> load, CancellationToken cancellationToken)
    {
        await run.SayAsync($"scaling: {metrics.Title}, {run.Options.SteadySeconds} s");
        await samples.AttemptAsync(
            processes[0].Name, metrics.Title,
            async () =>
            {
                await load(run.Options.SteadyWarmUp);
                var counters = new List<RuntimeCounters>();
                try
                {
                    foreach (var process in processes)
                    {
                        counters.Add(await RuntimeCounters.StartAsync(process, cancellationToken));
                    }

                    var operations = await load(TimeSpan.FromSeconds(run.Options.SteadySeconds));
                    foreach (var (process, counter) in processes.Zip(counters))
                    {
                        metrics.Add(samples, process.Name, await counter.StopAsync(cancellationToken), operations);
                    }
                }
                finally
                {
                    foreach (var counter in counters)
                    {
                        await counter.DisposeAsync();
                    }
                }
            },
            cancellationToken);
    }
}
