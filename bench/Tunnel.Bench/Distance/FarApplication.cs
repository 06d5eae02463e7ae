using System.Diagnostics;
using System.Net;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Measures;
using Tunnel.Bench.Pooling;
using Tunnel.Bench.Reporting;

namespace Tunnel.Bench.Distance;

/// <summary>A short-lived application far from its database, with poolers on the application's side of the distance.</summary>
internal static class FarApplication
{
    public const string Name = "distance";

    public const string ThroughTunnelName = "tunnel-pooler, tunnel";

    private static readonly Metric Connect = new("connect_ms", "Connected and logged in", "ms");
    private static readonly Metric Insert = new("insert_ms", "INSERT", "ms");
    private static readonly Metric Select = new("select_ms", "SELECT", "ms");
    private static readonly Metric Total = new("total_ms", "From nothing to the last answer", "ms");
    private static readonly Metric ConnectTrips = new("connect_trips", "… in round trips", "", HasRatio: false, HasRivalRatio: false);
    private static readonly Metric TotalTrips = new("total_trips", "… in round trips", "", HasRatio: false, HasRivalRatio: false);
    private static readonly Metric Check = new("echo_ms", "The distance itself: a byte there and back", "ms", HasRatio: false);

    public static IReadOnlyList<string> Contenders { get; } = [PgBouncer.Name, TunnelPooler.Name, ThroughTunnelName];

    public static async Task<SuiteReport> RunAsync(BenchRun run, CancellationToken cancellationToken)
    {
        var (samples, login, certificate) = (new Samples(), run.Database.Pooled, run.Certificate);
        await using var link = new Link(run.Options);
        var (toDatabase, toRaw) = (link.Across(run.Database.TcpEndPoint), link.Across(run.Raw.TcpEndPoint));
        await using var bouncer = run.IsWanted(PgBouncer.Name)
            ? await PgBouncer.StartAsync(run.DirectoryFor("far-bouncer"), login, toDatabase, certificate, cancellationToken) : null;
        await using var pooler = run.IsWanted(TunnelPooler.Name)
            ? await TunnelPooler.StartAsync(run.Programs, run.DirectoryFor("far-pooler"), login, TunnelPooler.TcpOrigin(toDatabase, tls: true), certificate, cancellationToken)
            : null;
        await using var chain = run.IsWanted(ThroughTunnelName)
            ? await TunnelChain.StartAsync(run, "far-chain", new TunnelChainOptions { HasForwarders = false }, cancellationToken) : null;
        await using var tunnelled = chain is null
            ? null
            : await TunnelPooler.StartAsync(
                run.Programs, run.DirectoryFor("far-tunnelled"), login, TunnelPooler.TunnelOrigin(chain, link.Across(chain.Ingress)), certificate, cancellationToken);

        List<PoolerContender> contenders = [new(PoolerContender.Base, "application ═ distance ═ database", toDatabase, null)];
        Add(PgBouncer.Name, "application → PgBouncer ═ distance ═ database", bouncer?.Address);
        Add(TunnelPooler.Name, "application → tunnel-pooler ═ distance ═ database", pooler?.Address);
        Add(ThroughTunnelName, "application → tunnel-pooler ═ distance ═ ingress ← connector → database", tunnelled?.Address);

        var workload = new Workload(run.Programs, login, certificate);
        await run.SayAsync($"{Name}: warming up");
        foreach (var contender in contenders.Skip(1))
        {
            await samples.AttemptAsync(contender.Name, "warming up", () => workload.RunAsync(contender.Address, runs: 1, cancellationToken), cancellationToken);
        }

        for (var round = 0; round < run.Options.Rounds; round++)
        {
            await run.SayAsync($"{Name}: round {round + 1} of {run.Options.Rounds}");
            samples.Add(PoolerContender.Base, Check, await EchoAsync(toRaw, cancellationToken));
            var shift = round % contenders.Count;
            foreach (var contender in contenders.Skip(shift).Concat(contenders.Take(shift)))
            {
                await samples.AttemptAsync(contender.Name, "workload", () => MeasureAsync(contender), cancellationToken);
            }
        }

        return new SuiteReport(
            Name, FormattableString.Invariant($"A short-lived application, {run.Options.RoundTripMilliseconds} ms from its database"),
            [.. contenders.Select(contender => new ReportColumn(contender.Name, contender.Way))],
            [Check, Connect, ConnectTrips, Insert, Select, Total, TotalTrips], samples, bouncer is null ? null : PgBouncer.Name);

        void Add(string name, string way, IPEndPoint? address)
        {
            if (address is not null)
            {
                contenders.Add(new PoolerContender(name, way, address, null));
            }
        }

        async Task MeasureAsync(PoolerContender contender)
        {
            foreach (var times in await workload.RunAsync(contender.Address, run.Options.DistanceRuns, cancellationToken))
            {
                samples.Add(contender.Name, Connect, times.Connect);
                samples.Add(contender.Name, Insert, times.Insert);
                samples.Add(contender.Name, Select, times.Select);
                samples.Add(contender.Name, Total, times.Total);
                if (run.Options.RoundTripMilliseconds > 0)
                {
                    samples.Add(contender.Name, ConnectTrips, times.Connect / run.Options.RoundTripMilliseconds);
                    samples.Add(contender.Name, TotalTrips, times.Total / run.Options.RoundTripMilliseconds);
                }
            }
        }
    }

    private static async Task<double> EchoAsync(IPEndPoint address, CancellationToken cancellationToken)
    {
        using var socket = await SocketExactly.ConnectAsync(address, cancellationToken);
        var one = new byte[1];
        await socket.SendExactlyAsync(new[] { RawTarget.Echo, (byte)'?' }, cancellationToken);
        await socket.ReceiveExactlyAsync(one, cancellationToken);
        var begin = Stopwatch.GetTimestamp();
        await socket.SendExactlyAsync(one, cancellationToken);
        await socket.ReceiveExactlyAsync(one, cancellationToken);
        return Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
    }
}
