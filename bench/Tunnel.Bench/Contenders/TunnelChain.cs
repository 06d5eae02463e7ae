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

    public const string PostgresHost = "postgres.bench.localhost";

    private const string RawHost = "raw.bench.localhost";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly List<Daemon> _daemons = [];

    private TunnelChain()
    {
    }

    /// <summary>Gets the whole chain: application, forwarder, ingress, connector, target.</summary>
    public Contender Forwarder { get; private set; } = null!;

    public Contender IngressTcp { get; private set; } = null!;

    public Contender IngressUnix { get; private set; } = null!;

    /// <summary>Gets where the ingress listens for tunnels.</summary>
    public IPEndPoint Ingress { get; private set; } = null!;

    /// <summary>Gets the file of the root that its certificate chains to.</summary>
    public string Authority { get; private set; } = "";

    /// <summary>Gets the file of the application's token.</summary>
    public string AccessToken { get; private set; } = "";

    public static async Task<TunnelChain> StartAsync(Programs programs, string directory, IPEndPoint postgres, IPEndPoint raw, CancellationToken cancellationToken)
    {
        var chain = new TunnelChain();
        try
        {
            await chain.StartAllAsync(programs, directory, postgres, raw, cancellationToken);
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

    private async Task StartAllAsync(Programs programs, string directory, IPEndPoint postgres, IPEndPoint raw, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(directory);
        var state = Path.Combine(directory, "state");
        var connectorToken = Path.Combine(directory, "connector.json");
        var accessToken = Path.Combine(directory, "access.json");
        string[][] commands =
        [
            ["tunnel", "add", "bench"],
            ["service", "add", "postgres", "--hostname", PostgresHost, "--tunnel", "bench"],
            ["service", "add", "raw", "--hostname", RawHost, "--tunnel", "bench"],
            ["token", "create", "connector", "--connect", "bench", "--output", connectorToken],
            ["token", "create", "application", "--access", "postgres", "--access", "raw", "--output", accessToken],
        ];
        foreach (var command in commands)
        {
            await Tool.RunAsync(programs.Ingress, [.. command, "--state", state], new Dictionary<string, string>(), Patience, cancellationToken);
        }

        var listener = FreePort.Next();
        var postgresTcp = FreePort.Next();
        var rawTcp = FreePort.Next();
        var postgresUnix = new UnixDomainSocketEndPoint(Path.Combine(directory, ".s.PGSQL.5432"));
        var rawUnix = new UnixDomainSocketEndPoint(Path.Combine(directory, "raw.sock"));
        var ingress = Start(
            programs.Ingress, "run", "--state", state, "--listen", $"{listener}", "--dev-certificate", "--management", $"{FreePort.Next()}",
            "--local", $"postgres={postgresTcp}", "--local", $"postgres=unix:{postgresUnix}", "--local", $"raw={rawTcp}", "--local", $"raw=unix:{rawUnix}");
        await Readiness.WaitForListenerAsync(listener, _daemons, cancellationToken);

        var authority = Path.Combine(state, "dev-ca.pem");
        var connector = Start(
            programs.Connector, "run", "--ingress", $"wss://localhost:{listener.Port}", "--ca-file", authority, "--token-file", connectorToken,
            "--service", $"postgres=tcp://{postgres}", "--service", $"raw=tcp://{raw}");

        var postgresForwarded = FreePort.Next();
        var rawForwarded = FreePort.Next();
        var postgresForwarder = StartForwarder(programs, PostgresHost, listener, postgresForwarded, authority, accessToken);
        var rawForwarder = StartForwarder(programs, RawHost, listener, rawForwarded, authority, accessToken);
        foreach (EndPoint way in new EndPoint[] { rawTcp, rawUnix, rawForwarded })
        {
            await Readiness.WaitForEchoAsync(way, _daemons, cancellationToken);
        }

        await Readiness.WaitForListenerAsync(postgresForwarded, _daemons, cancellationToken);

        (Ingress, Authority, AccessToken) = (listener, authority, accessToken);
        WatchedProcess[] middle = [new("ingress", ingress.Id), new("connector", connector.Id)];
        WatchedProcess[] all = [.. middle, new("forwarder", rawForwarder.Id), new("forwarder of the database", postgresForwarder.Id)];
        Forwarder = new Contender(ForwarderName, "client → forwarder → wss → ingress → wss → connector → target", postgresForwarded, rawForwarded, all);
        IngressTcp = new Contender(IngressTcpName, "client → ingress's TCP listener → wss → connector → target", postgresTcp, rawTcp, middle);
        IngressUnix = new Contender(IngressUnixName, "client → ingress's Unix listener → wss → connector → target", postgresUnix, rawUnix, middle);
    }

    private Daemon StartForwarder(Programs programs, string hostname, IPEndPoint ingress, IPEndPoint listener, string authority, string token) => Start(
        programs.Pooler, "forward", "--hostname", $"{hostname}:{ingress.Port}", "--listen", $"{listener}", "--ca-file", authority, "--token-file", token);

    private Daemon Start(string program, params string[] arguments)
    {
        var daemon = new Daemon(program, arguments);
        _daemons.Add(daemon);
        return daemon;
    }
}
