using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Measures;
using Tunnel.Bench.Processes;
using Tunnel.Bench.Reporting;

namespace Tunnel.Bench.Startup;

/// <summary>From the start of a connector to the first stream that it carried, and the memory it holds when nothing happens.</summary>
internal sealed class StartupSuite : ISuite
{
    private const string Jit = "connector, JIT";
    private const string NativeAot = "connector, Native AOT";

    private static readonly Metric FirstStream = new("first_stream_ms", "From its start to the first stream carried", "ms");
    private static readonly Metric IdleRss = new("rss_idle_mib", "Resident memory 3 s later", "MiB");

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Settle = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(3);

    // Longer than what a database driver says first, because an ingress that has no connector waits for the rest of that before it refuses.
    private static readonly byte[] FirstBytes = [RawTarget.Echo, .. Enumerable.Repeat((byte)'?', 15)];

    public string Name => "startup";

    public IReadOnlyList<string> Contenders { get; } = [Jit, NativeAot];

    public async Task<IReadOnlyList<SuiteReport>> RunAsync(BenchRun run, CancellationToken cancellationToken)
    {
        // The base of the ratios always runs.
        List<(ReportColumn Column, string Program)> contenders = [(new(Jit, "the Release build"), run.Programs.Connector)];
        if (run.IsWanted(NativeAot) && run.Programs.NativeConnector is { } native)
        {
            contenders.Add((new(NativeAot, "the native program that `make publish` makes"), native));
        }

        var samples = new Samples();
        await using var ingress = await IngressAlone.StartAsync(run, "startup", cancellationToken);
        for (var round = -1; round < run.Options.StartRounds; round++)
        {
            await run.SayAsync(round < 0 ? $"{Name}: warming up" : $"{Name}: round {round + 1} of {run.Options.StartRounds}");
            foreach (var (column, program) in round % 2 == 0 ? contenders : Enumerable.Reverse(contenders))
            {
                // The first start of a program, with its file not yet in memory, goes into no sample.
                var to = round < 0 ? new Samples() : samples;
                await samples.AttemptAsync(column.Name, "start", () => MeasureAsync(ingress, column.Name, program, to, cancellationToken), cancellationToken);
            }
        }

        return [new SuiteReport(Name, "The start of a connector", [.. contenders.Select(contender => contender.Column)], [FirstStream, IdleRss], samples)];
    }

    private static async Task MeasureAsync(IngressAlone ingress, string name, string program, Samples samples, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        while (await CarriesAsync(ingress.Raw, limit.Token))
        {
            // The one before is not gone yet.
            await Task.Delay(Pause, limit.Token);
        }

        var begin = Stopwatch.GetTimestamp();
        await using var connector = new Daemon(program, ingress.ConnectorArguments);
        while (!await CarriesAsync(ingress.Raw, limit.Token))
        {
            connector.ThrowIfEnded();
            await Task.Delay(Pause, limit.Token);
        }

        samples.Add(name, FirstStream, Stopwatch.GetElapsedTime(begin).TotalMilliseconds);
        await Task.Delay(Settle, cancellationToken);
        samples.Add(name, IdleRss, ProcessUsage.ResidentKiB(new WatchedProcess(name, connector.Id)) / 1024);
    }

    private static async Task<bool> CarriesAsync(IPEndPoint raw, CancellationToken cancellationToken)
    {
        try
        {
            using var socket = await SocketExactly.ConnectAsync(raw, cancellationToken);
            await socket.SendExactlyAsync(FirstBytes, cancellationToken);
            await socket.ReceiveExactlyAsync(new byte[FirstBytes.Length - 1], cancellationToken);
            return true;
        }
        catch (Exception exception) when (exception is SocketException or EndOfStreamException)
        {
            return false;
        }
    }
}
