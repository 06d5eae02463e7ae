using System.Net;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Measures;
using Tunnel.Bench.Reporting;

namespace Tunnel.Bench.Distance;

/// <summary>Streams through the tunnel and its peers, with the distance between their two halves; direct has it between client and target.</summary>
internal static class FarStreams
{
    private static readonly Way[] Ways = [Way.Ingress, Way.WebSockets, Way.Ssh, Way.Stunnel, Way.Haproxy];

    private static readonly Metric Allowed = new("window_mib_per_second", "What the distance's window allows in each direction", "MiB/s", HasRatio: false);
    private static readonly Metric OpenTrips = new("open_trips", "Opening a stream until its first byte is echoed, in round trips", "");

    public static IReadOnlyList<string> Contenders { get; } = [.. Ways.SelectMany(way => way.Names)];

    public static async Task<SuiteReport> RunAsync(BenchRun run, CancellationToken cancellationToken)
    {
        var options = run.Options;
        var samples = new Samples();
        await using var link = new Link(options);
        await using var ways = await StartedWays.StartAsync(run, Ways, "f", link, cancellationToken);
        IReadOnlyList<Contender> contenders =
        [
            new(Contender.Base, "client ═ distance ═ target", run.Database.TcpEndPoint, link.Across(run.Raw.TcpEndPoint), []), .. ways.Contenders,
        ];
        if (options.RoundTripMilliseconds > 0)
        {
            samples.Add(Contender.Base, Allowed, options.Window / (1024.0 * 1024) / options.RoundTripMilliseconds * 1000);
        }

        for (var round = 0; round < options.FarRounds; round++)
        {
            await run.SayAsync($"distance: streams, round {round + 1} of {options.FarRounds}");
            Contender[] order = [.. contenders.Skip(round % contenders.Count), .. contenders.Take(round % contenders.Count)];
            foreach (var (name, measure) in Measures)
            {
                foreach (var contender in order)
                {
                    await samples.AttemptAsync(contender.Name, name, () => measure(contender, options, samples, cancellationToken), cancellationToken);
                }
            }
        }

        return new SuiteReport(
            "distance-streams", FormattableString.Invariant($"Streams, with {options.RoundTripMilliseconds} ms on the way"),
            [.. contenders.Select(contender => new ReportColumn(contender.Name, contender.Way))], [Allowed, Metric.Upload, Metric.Download, OpenTrips], samples);
    }

    private static IEnumerable<(string Name, Func<Contender, BenchOptions, Samples, CancellationToken, Task> Measure)> Measures =>
    [
        ("opening", OpenAsync),
        ("upload", (contender, options, samples, cancellationToken) => BulkAsync(contender, BulkTransfer.UploadAsync, Metric.Upload, options, samples, cancellationToken)),
        ("download", (contender, options, samples, cancellationToken) => BulkAsync(contender, BulkTransfer.DownloadAsync, Metric.Download, options, samples, cancellationToken)),
    ];

    private static async Task OpenAsync(Contender contender, BenchOptions options, Samples samples, CancellationToken cancellationToken)
    {
        var times = await StreamOpening.OneAtATimeAsync(contender.Raw, TimeSpan.FromSeconds(options.OpenSeconds), cancellationToken);
        if (options.RoundTripMilliseconds > 0)
        {
            samples.Add(contender.Name, OpenTrips, times.Echoed / 1000 / options.RoundTripMilliseconds);
        }
    }

    private static async Task BulkAsync(
        Contender contender, Func<EndPoint, int, CancellationToken, Task<BulkResult>> transfer, Metric metric, BenchOptions options, Samples samples,
        CancellationToken cancellationToken) =>
        samples.Add(contender.Name, metric, (await transfer(contender.Raw, options.FarBulkSeconds, cancellationToken)).MebibytesPerSecond);
}
