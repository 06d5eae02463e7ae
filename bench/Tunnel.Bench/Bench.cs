using Tunnel.Bench.Contenders;
using Tunnel.Bench.Measures;
using Tunnel.Bench.Processes;
using Tunnel.Bench.Reporting;

namespace Tunnel.Bench;

/// <summary>Runs the rounds. Each measure visits all contenders before the next one begins, in an order that rotates from round to round.</summary>
internal sealed class Bench(BenchOptions options, Pgbench pgbench, Samples samples)
{
    /// <summary>Lets the processes compile what is hot before anything is measured, as a server that has been up for a minute has.</summary>
    public async Task WarmUpAsync(IReadOnlyList<Contender> contenders, CancellationToken cancellationToken)
    {
        foreach (var contender in contenders.Where(contender => contender.Processes.Count > 0))
        {
            await pgbench.RunAsync(contender.Postgres, clients: 16, options.PgbenchSeconds, cancellationToken);
            await BulkTransfer.UploadAsync(contender.Raw, options.BulkSeconds, cancellationToken);
            await BulkTransfer.DownloadAsync(contender.Raw, options.BulkSeconds, cancellationToken);
        }
    }

    public async Task RunRoundAsync(int round, IReadOnlyList<Contender> contenders, CancellationToken cancellationToken)
    {
        Contender[] order = [.. contenders.Skip(round % contenders.Count), .. contenders.Take(round % contenders.Count)];
        Func<Contender, CancellationToken, Task>[] measures = [OneClientAsync, SixteenClientsAsync, ConnectionsAsync, BulkAsync];
        foreach (var measure in measures)
        {
            foreach (var contender in order)
            {
                await measure(contender, cancellationToken);
            }
        }
    }

    public async Task MeasureIdleAsync(Contender contender, CancellationToken cancellationToken)
    {
        var byProcess = await IdleMemory.MeasureAsync(contender, options.IdleStreams, cancellationToken);
        samples.Add(contender.Name, Metric.IdleMemory, byProcess.Values.Sum());
        await Console.Error.WriteLineAsync($"  {contender.Name}: {string.Join(", ", byProcess.Select(process => $"{process.Key} {process.Value:0.0} KiB"))} per idle stream");
    }

    private async Task OneClientAsync(Contender contender, CancellationToken cancellationToken)
    {
        var result = await pgbench.RunAsync(contender.Postgres, clients: 1, options.PgbenchSeconds, cancellationToken);
        samples.Add(contender.Name, Metric.Latency1, result.LatencyMilliseconds);
        samples.Add(contender.Name, Metric.Tail1, result.TailMilliseconds);
    }

    private async Task SixteenClientsAsync(Contender contender, CancellationToken cancellationToken)
    {
        var before = ProcessUsage.CpuSeconds(contender.Processes);
        var result = await pgbench.RunAsync(contender.Postgres, clients: 16, options.PgbenchSeconds, cancellationToken);
        samples.Add(contender.Name, Metric.Throughput16, result.PerSecond);
        samples.Add(contender.Name, Metric.Latency16, result.LatencyMilliseconds);
        samples.Add(contender.Name, Metric.Tail16, result.TailMilliseconds);
        if (contender.Processes.Count > 0)
        {
            samples.Add(contender.Name, Metric.Cpu16, (ProcessUsage.CpuSeconds(contender.Processes) - before) / result.Transactions * 1_000_000);
        }
    }

    private async Task ConnectionsAsync(Contender contender, CancellationToken cancellationToken) =>
        samples.Add(contender.Name, Metric.Connections, await pgbench.ConnectAsync(contender.Postgres, clients: 4, options.ConnectSeconds, cancellationToken));

    private async Task BulkAsync(Contender contender, CancellationToken cancellationToken)
    {
        var before = ProcessUsage.CpuSeconds(contender.Processes);
        var upload = await BulkTransfer.UploadAsync(contender.Raw, options.BulkSeconds, cancellationToken);
        var download = await BulkTransfer.DownloadAsync(contender.Raw, options.BulkSeconds, cancellationToken);
        samples.Add(contender.Name, Metric.Upload, upload.MebibytesPerSecond);
        samples.Add(contender.Name, Metric.Download, download.MebibytesPerSecond);
        if (contender.Processes.Count > 0)
        {
            var gibibytes = (upload.Bytes + download.Bytes) / (1024.0 * 1024 * 1024);
            samples.Add(contender.Name, Metric.CpuBulk, (ProcessUsage.CpuSeconds(contender.Processes) - before) / gibibytes);
        }
    }
}
