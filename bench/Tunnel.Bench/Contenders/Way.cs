using Tunnel.Bench.Distance;

namespace Tunnel.Bench.Contenders;

/// <summary>Processes that carry streams to the targets, and the contenders that use them.</summary>
/// <param name="Names">The contenders' names.</param>
/// <param name="StartAsync">Starts new processes: for a run, under a name that no others have, across a link.</param>
internal sealed record Way(IReadOnlyList<string> Names, Func<BenchRun, string, Link, CancellationToken, Task<StartedWay>> StartAsync)
{
    public static readonly Way Tunnel = new(
        [TunnelChain.ForwarderName, TunnelChain.IngressTcpName, TunnelChain.IngressUnixName],
        async (run, name, link, cancellationToken) =>
        {
            var chain = await TunnelChain.StartAsync(run, name, new TunnelChainOptions { Link = link }, cancellationToken);
            return new StartedWay([chain.Forwarder!, chain.IngressTcp, chain.IngressUnix], chain);
        });

    /// <summary>The tunnel without its forwarders.</summary>
    public static readonly Way Ingress = ToIngress(TunnelChain.IngressTcpName, Transport.Carriers);

    public static readonly Way BehindProxy = ToIngress(TunnelChain.BehindProxyName, Transport.CarriersBehindProxy);

    public static readonly Way WebSockets = ToIngress(TunnelChain.WebSocketsName, Transport.WebSockets);

    public static readonly Way Ssh = new(
        [SshReverse.Name],
        async (run, name, link, cancellationToken) =>
        {
            var ssh = await SshReverse.StartAsync(run, name, link, cancellationToken);
            return new StartedWay([ssh.Contender], ssh);
        });

    public static readonly Way Stunnel = new([StunnelPair.Name], (run, name, link, cancellationToken) => PairAsync(StunnelPair.StartAsync(run, name, link, cancellationToken)));

    public static readonly Way Haproxy = new([HaproxyPair.Name], (run, name, link, cancellationToken) => PairAsync(HaproxyPair.StartAsync(run, name, link, cancellationToken)));

    private static Way ToIngress(string contender, Transport transport) => new(
        [contender],
        async (run, name, link, cancellationToken) =>
        {
            var chain = await TunnelChain.StartAsync(
                run, name, new TunnelChainOptions { Link = link, Transport = transport, HasForwarders = false }, cancellationToken);
            return new StartedWay([chain.IngressTcp], chain);
        });

    private static async Task<StartedWay> PairAsync(Task<TlsPair> starting)
    {
        var pair = await starting;
        return new StartedWay([pair.Contender], pair);
    }
}

/// <summary>A <see cref="Way"/> whose processes run, until it is disposed.</summary>
internal sealed class StartedWay(IReadOnlyList<Contender> contenders, IAsyncDisposable processes) : IAsyncDisposable
{
    public IReadOnlyList<Contender> Contenders => contenders;

    public ValueTask DisposeAsync() => processes.DisposeAsync();
}

/// <summary>Several started ways that are stopped together.</summary>
internal sealed class StartedWays : IAsyncDisposable
{
    private readonly List<StartedWay> _started = [];

    /// <summary>Gets the contenders that the run wants.</summary>
    public IReadOnlyList<Contender> Contenders { get; private set; } = [];

    /// <summary>Starts those ways that the run wants a contender of.</summary>
    public static async Task<StartedWays> StartAsync(BenchRun run, IReadOnlyList<Way> ways, string prefix, Link link, CancellationToken cancellationToken)
    {
        var started = new StartedWays();
        try
        {
            foreach (var (way, index) in ways.Select((way, index) => (way, index)).Where(entry => run.IsWanted(entry.way.Names)))
            {
                started._started.Add(await way.StartAsync(run, $"{prefix}{index}", link, cancellationToken));
            }

            started.Contenders = [.. started._started.SelectMany(way => way.Contenders).Where(contender => run.IsWanted(contender.Name))];
            return started;
        }
        catch
        {
            await started.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var way in _started)
        {
            await way.DisposeAsync();
        }
    }
}
