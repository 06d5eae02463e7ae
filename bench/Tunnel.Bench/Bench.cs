using System.Net;
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
            await AttemptAsync(contender, "warming up", UseAsync, cancellationToken);
        }
    }

    public async Task RunRoundAsync(int round, IReadOnlyList<Contender> contenders, CancellationToken cancellationToken)
    {
        Contender[] order = [.. contenders.Skip(round % contenders.Count), .. contenders.Take(round % contenders.Count)];
        (string Name, Func<Contender, CancellationToken, Task> Run)[] measures =
        [
            ("pgbench with 1 client", OneClientAsync), ("pgbench with 16 clients", SixteenClientsAsync), ("connections", ConnectionsAsync),
            ("opening", OpenAsync), ("opening many", OpenManyAsync),
            ("upload", UploadAsync), ("download", DownloadAsync),
        ];
        foreach (var (name, run) in measures)
        {
            foreach (var contender in order)
            {
                await AttemptAsync(contender, name, run, cancellationToken);
            }
        }
    }

    public Task MeasureIdleAsync(Contender contender, CancellationToken cancellationToken) =>
        AttemptAsync(contender, "idle streams", IdleAsync, cancellationToken);

    private Task AttemptAsync(Contender contender, string name, Func<Contender, CancellationToken, Task> run, CancellationToken cancellationToken) =>
        samples.AttemptAsync(contender.Name, name, () => run(contender, cancellationToken), cancellationToken);

    private async Task IdleAsync(Contender contender, CancellationToken cancellationToken)
    {
        var byProcess = await IdleMemory.MeasureAsync(contender, options.IdleStreams, cancellationToken);
        samples.Add(contender.Name, Metric.IdleMemory, byProcess.Values.Sum());
        await Console.Error.WriteLineAsync($"  {contender.Name}: {string.Join(", ", byProcess.Select(process => $"{process.Key} {process.Value:0.0} KiB"))} per idle stream");
    }

    private async Task UseAsync(Contender contender, CancellationToken cancellationToken)
    {
        await pgbench.RunAsync(contender.Postgres, clients: 16, options.PgbenchSeconds, cancellationToken);
        await StreamOpening.SustainedAsync(contender.Raw, TimeSpan.FromSeconds(options.OpenSeconds), cancellationToken);
        await BulkTransfer.UploadAsync(contender.Raw, options.BulkSeconds, cancellationToken);
        await BulkTransfer.DownloadAsync(contender.Raw, options.BulkSeconds, cancellationToken);
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

    private async Task OpenAsync(Contender contender, CancellationToken cancellationToken)
    {
        var times = await StreamOpening.OneAtATimeAsync(contender.Raw, TimeSpan.FromSeconds(options.OpenSeconds), cancellationToken);
        samples.Add(contender.Name, Metric.Open, times.Echoed);
        samples.Add(contender.Name, Metric.OpenConnected, times.Connected);
    }

    private async Task OpenManyAsync(Contender contender, CancellationToken cancellationToken)
    {
        var before = ProcessUsage.CpuSeconds(contender.Processes);
        var rate = await StreamOpening.SustainedAsync(contender.Raw, TimeSpan.FromSeconds(options.OpenSeconds), cancellationToken);
        samples.Add(contender.Name, Metric.OpenRate, rate.PerSecond);
        if (contender.Processes.Count > 0)
        {
            samples.Add(contender.Name, Metric.CpuOpen, (ProcessUsage.CpuSeconds(contender.Processes) - before) / rate.Streams * 1_000_000);
        }
    }

    private Task UploadAsync(Contender contender, CancellationToken cancellationToken) =>
        BulkAsync(contender, BulkTransfer.UploadAsync, Metric.Upload, Metric.CpuUpload, cancellationToken);

    private Task DownloadAsync(Contender contender, CancellationToken cancellationToken) =>
        BulkAsync(contender, BulkTransfer.DownloadAsync, Metric.Download, Metric.CpuDownload, cancellationToken);

    private async Task BulkAsync(
        Contender contender, Func<EndPoint, int, CancellationToken, Task<BulkResult>> transfer, Metric speed, Metric cpu, CancellationToken cancellationToken)
    {
        var before = ProcessUsage.CpuSeconds(contender.Processes);
        var result = await transfer(contender.Raw, options.BulkSeconds, cancellationToken);
        samples.Add(contender.Name, speed, result.MebibytesPerSecond);
        if (contender.Processes.Count > 0)
        {
            samples.Add(contender.Name, cpu, (ProcessUsage.CpuSeconds(contender.Processes) - before) / (result.Bytes / (1024.0 * 1024 * 1024)));
        }
    }
}
