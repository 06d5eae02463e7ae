using System.Net;
using System.Net.Sockets;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Contenders;

/// <summary>
/// The three programs as they are shipped, Release builds with their default settings, set up by the administration's own
/// commands: an ingress with a development certificate and with local listeners, a connector, and a forwarder for each service.
/// </summary>
internal sealed class TunnelChain : IAsyncDisposable
{
    public const string ForwarderName = "forwarder";
    public const string IngressTcpName = "ingress TCP";
    public const string IngressUnixName = "ingress Unix";
    public const string BehindProxyName = "ingress TCP, behind HAProxy";
    public const string WebSocketsName = "ingress TCP, WebSocket per stream";

    public const string PostgresHost = TunnelState.PostgresHost;

    private readonly List<Daemon> _daemons = [];

    private TunnelChain()
    {
    }

    /// <summary>Gets the whole chain: application, forwarder, ingress, connector, target; null without forwarders.</summary>
    public Contender? Forwarder { get; private set; }

    public Contender IngressTcp { get; private set; } = null!;

    public Contender IngressUnix { get; private set; } = null!;

    /// <summary>Gets where the ingress listens for tunnels.</summary>
    public IPEndPoint Ingress { get; private set; } = null!;

    /// <summary>Gets the file of the root that its certificate chains to.</summary>
    public string Authority { get; private set; } = "";

    /// <summary>Gets the file of the application's token.</summary>
    public string AccessToken { get; private set; } = "";

    public WatchedProcess IngressProcess { get; private set; } = null!;

    public IReadOnlyList<WatchedProcess> ConnectorProcesses { get; private set; } = [];

    /// <param name="run">The run that it is part of.</param>
    /// <param name="name">A name for its directory, different from that of every other one in the run.</param>
    /// <param name="options">How it differs from the default.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<TunnelChain> StartAsync(BenchRun run, string name, TunnelChainOptions options, CancellationToken cancellationToken)
    {
        var chain = new TunnelChain();
        try
        {
            await chain.StartAllAsync(run, run.DirectoryFor(name), options, cancellationToken);
            return chain;
        }
        catch
        {
            await chain.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        // Last started, first stopped.
        foreach (var daemon in Enumerable.Reverse(_daemons))
        {
            await daemon.DisposeAsync();
        }
    }

    private async Task StartAllAsync(BenchRun run, string directory, TunnelChainOptions options, CancellationToken cancellationToken)
    {
        var state = await TunnelState.CreateAsync(run, directory, cancellationToken);
        AccessToken = state.AccessToken;
        Ingress = FreePort.Next();
        var management = FreePort.Next();
        var postgresTcp = FreePort.Next();
        var rawTcp = FreePort.Next();
        var postgresUnix = new UnixDomainSocketEndPoint(Path.Combine(directory, ".s.PGSQL.5432"));
        var rawUnix = new UnixDomainSocketEndPoint(Path.Combine(directory, "raw.sock"));
        var isBehindProxy = options.Transport == Transport.CarriersBehindProxy;
        var ingress = Start(
            run.Programs.Ingress,
            [
                "run", "--state", state.Directory, "--listen", $"{Ingress}", .. isBehindProxy ? Array.Empty<string>() : ["--dev-certificate"], "--management", $"{management}",
                "--local", $"postgres={postgresTcp}", "--local", $"postgres=unix:{postgresUnix}", "--local", $"raw={rawTcp}", "--local", $"raw=unix:{rawUnix}",
            ],
            isBehindProxy ? new Dictionary<string, string> { ["TUNNEL_INGRESS__PLAINTEXT"] = "true" } : null);
        await Readiness.WaitForListenerAsync(Ingress, _daemons, cancellationToken);

        Authority = isBehindProxy ? run.Certificate.File : state.Authority;
        var (door, front) = isBehindProxy ? await StartFrontAsync(run, directory, cancellationToken) : (Ingress, []);
        var environment = options.Transport == Transport.WebSockets ? new Dictionary<string, string> { ["TUNNEL_CONNECTOR__CARRIERS"] = "0" } : null;
        var connectors = Enumerable.Range(0, options.Connectors)
            .Select(_ => Start(
                run.Programs.Connector, state.ConnectorArguments(options.Link.Across(door), run.Database.TcpEndPoint, run.Raw.TcpEndPoint, Authority), environment))
            .ToArray();
        await Readiness.WaitForConnectorsAsync(management, options.Connectors, _daemons, cancellationToken);
        foreach (EndPoint way in new EndPoint[] { rawTcp, rawUnix })
        {
            await Readiness.WaitForEchoAsync(way, _daemons, cancellationToken);
        }

        IngressProcess = new WatchedProcess("ingress", ingress.Id);
        ConnectorProcesses =
            [.. connectors.Select((connector, index) => new WatchedProcess(index == 0 ? "connector" : $"connector {index + 1}", connector.Id))];
        WatchedProcess[] middle = [IngressProcess, .. front, .. ConnectorProcesses];
        var (name, between) = options.Transport switch
        {
            Transport.Carriers => (IngressTcpName, "wss"),
            Transport.CarriersBehindProxy => (BehindProxyName, "WebSockets → HAProxy → wss"),
            _ => (WebSocketsName, "a WebSocket for each stream"),
        };
        IngressTcp = new Contender(name, $"client → ingress's TCP listener → {between} → connector → target", postgresTcp, rawTcp, middle);
        IngressUnix = new Contender(IngressUnixName, $"client → ingress's Unix listener → {between} → connector → target", postgresUnix, rawUnix, middle);
        if (options.HasForwarders)
        {
            await StartForwardersAsync(run.Programs, middle, cancellationToken);
        }
    }

    private async Task<(IPEndPoint Door, WatchedProcess[] Processes)> StartFrontAsync(BenchRun run, string directory, CancellationToken cancellationToken)
    {
        var door = FreePort.Next();
        var front = await TlsFront.StartAsync(run, directory, door, Ingress, cancellationToken);
        _daemons.Add(front);
        await Readiness.WaitForListenerAsync(door, _daemons, cancellationToken);
        return (door, [new WatchedProcess("haproxy", front.Id)]);
    }

    private async Task StartForwardersAsync(Programs programs, WatchedProcess[] middle, CancellationToken cancellationToken)
    {
        var postgresForwarded = FreePort.Next();
        var rawForwarded = FreePort.Next();
        var postgres = StartForwarder(programs, PostgresHost, postgresForwarded);
        var raw = StartForwarder(programs, TunnelState.RawHost, rawForwarded);
        await Readiness.WaitForEchoAsync(rawForwarded, _daemons, cancellationToken);
        await Readiness.WaitForListenerAsync(postgresForwarded, _daemons, cancellationToken);
        Forwarder = new Contender(
            ForwarderName, "client → forwarder → wss → ingress → wss → connector → target", postgresForwarded, rawForwarded,
            [.. middle, new("forwarder", raw.Id), new("forwarder of the database", postgres.Id)]);
    }

    private Daemon StartForwarder(Programs programs, string hostname, IPEndPoint listener) => Start(
        programs.Pooler,
        ["forward", "--hostname", $"{hostname}:{Ingress.Port}", "--listen", $"{listener}", "--ca-file", Authority, "--token-file", AccessToken]);

    private Daemon Start(string program, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        var daemon = new Daemon(program, arguments, environment: environment);
        _daemons.Add(daemon);
        return daemon;
    }
}
