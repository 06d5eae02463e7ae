using System.Net;
using System.Text.Json;

namespace Tunnel.Testing;

/// <summary>
/// Ingress, connectors and forwarders as real processes with a development certificate, put together with the real administration
/// commands.
/// </summary>
public sealed class TunnelCluster : IAsyncDisposable
{
    /// <summary>The tunnel of every cluster.</summary>
    public const string Tunnel = "vpc";

    /// <summary>Who may use every pooler, and its console.</summary>
    public const string PoolerUser = "app";

    /// <summary>His password.</summary>
    public const string PoolerPassword = "open sesame";

    private readonly List<ProgramProcess> _started = [];
    private readonly Dictionary<string, string> _targets = [];
    private readonly List<ProgramProcess> _connectors = [];

    private TunnelCluster(string directory)
    {
        Directory = directory;
    }

    /// <summary>State, tokens and sockets are here.</summary>
    public string Directory { get; }

    /// <summary>The running ingress.</summary>
    public ProgramProcess Ingress { get; private set; } = null!;

    /// <summary>Its public port, the same after a restart.</summary>
    public int Port { get; } = LoopbackPort.Choose();

    /// <summary>The base address of its management.</summary>
    public Uri Management { get; private set; } = null!;

    /// <summary>The CA that clients must trust.</summary>
    public string CaFile => Path.Combine(State, "dev-ca.pem");

    /// <summary>The token file that connects the tunnel.</summary>
    public string ConnectorToken => Path.Combine(Directory, "connector.token");

    /// <summary>The token file that accesses the services.</summary>
    public string ApplicationToken => Path.Combine(Directory, "application.token");

    /// <summary>All connectors that were started, also those that have ended.</summary>
    public IReadOnlyList<ProgramProcess> Connectors => _connectors;

    /// <summary>How many file descriptors an ingress may have that is started from now on; as many as we without it.</summary>
    public int? IngressDescriptors { get; set; }

    private string State => Path.Combine(Directory, "state");

    /// <summary>Makes the state: the tunnel, a service per target, both tokens; and starts the ingress.</summary>
    /// <param name="targets">Service name to target.</param>
    /// <param name="ingressArguments">Further flags; <c>{dir}</c> stands for the cluster's directory.</param>
    public static async Task<TunnelCluster> StartAsync(IReadOnlyDictionary<string, string> targets, params string[] ingressArguments)
    {
        var cluster = new TunnelCluster(System.IO.Directory.CreateTempSubdirectory("tunnel-").FullName);
        await cluster.AdminAsync("tunnel", "add", Tunnel);
        foreach (var (service, target) in targets)
        {
            await cluster.AddServiceAsync(service, target);
        }

        await cluster.AdminAsync("token", "create", "connector", "--connect", Tunnel, "--output", cluster.ConnectorToken);
        await cluster.AdminAsync(["token", "create", "application", "--output", cluster.ApplicationToken, .. targets.Keys.SelectMany(static name => new[] { "--access", name })]);
        await cluster.StartIngressAsync([.. ingressArguments.Select(argument => argument.Replace("{dir}", cluster.Directory, StringComparison.Ordinal))]);
        return cluster;
    }

    /// <summary>The hostname of a service.</summary>
    public static string HostnameOf(string service) => $"{service}.tunnel.localhost";

    /// <summary>Runs an administration command on the state.</summary>
    public async Task<JsonElement> AdminAsync(params string[] arguments)
    {
        var result = await CommandLine.RunAsync("tunnel-ingress", [.. arguments, "--state", State, "--json"]);
        return JsonDocument.Parse(result.EnsureSuccess().Output).RootElement;
    }

    /// <summary>Adds a service whose target later connectors know.</summary>
    public async Task AddServiceAsync(string service, string target)
    {
        await AdminAsync("service", "add", service, "--hostname", HostnameOf(service), "--tunnel", Tunnel);
        _targets[service] = target;
    }

    /// <summary>Starts the ingress, again after it was stopped.</summary>
    public async Task StartIngressAsync(params string[] arguments)
    {
        Ingress = Track(ProgramProcess.Start("tunnel-ingress",
        [
            "run", "--state", State, "--dev-certificate", "--listen", $"127.0.0.1:{Port}", "--management", "127.0.0.1:0", "--log-format", "json", .. arguments,
        ], descriptors: IngressDescriptors));
        await Ingress.WaitForAsync("IngressListening");
        Management = new Uri((await Ingress.WaitForAsync("ManagementListening"))["Address"]);
    }

    /// <summary>Starts a connector and waits until it is registered.</summary>
    public Task<ProgramProcess> StartConnectorAsync(params string[] arguments) => StartConnectorAsync(environment: null, arguments);

    /// <summary>The same with an environment of its own.</summary>
    public async Task<ProgramProcess> StartConnectorAsync(IReadOnlyDictionary<string, string>? environment, params string[] arguments)
    {
        string[] all =
        [
            "run", "--ingress", $"wss://localhost:{Port}", "--token-file", ConnectorToken, "--ca-file", CaFile, "--log-format", "json",
            .. _targets.SelectMany(static target => new[] { "--service", $"{target.Key}={target.Value}" }), .. arguments,
        ];
        var connector = Track(ProgramProcess.Start("tunnel-connector", all, environment));
        _connectors.Add(connector);
        await connector.WaitForAsync("ConnectorRegistered");
        return connector;
    }

    /// <summary>Starts a forwarder for a service.</summary>
    /// <returns>It, and the addresses it listens on.</returns>
    public Task<(ProgramProcess Process, IReadOnlyList<string> Addresses)> StartForwarderAsync(string service, params string[] listen) =>
        StartForwarderAsync(service, ApplicationToken, environment: null, listen);

    /// <summary>Starts a forwarder with a token and an environment of its own.</summary>
    /// <returns>It, and the addresses it listens on.</returns>
    public async Task<(ProgramProcess Process, IReadOnlyList<string> Addresses)> StartForwarderAsync(
        string service, string tokenFile, IReadOnlyDictionary<string, string>? environment, params string[] listen)
    {
        string[] addresses = listen.Length > 0 ? listen : ["127.0.0.1:0"];
        string[] all =
        [
            "forward", "--hostname", $"{HostnameOf(service)}:{Port}", "--token-file", tokenFile, "--ca-file", CaFile, "--log-format", "json",
            .. addresses.SelectMany(static address => new[] { "--listen", address }),
        ];
        var forwarder = Track(ProgramProcess.Start("tunnel-pooler", all, environment));
        var bound = new List<string>();
        foreach (var _ in addresses)
        {
            bound.Add((await forwarder.WaitForAsync("ForwardListening", seen => !bound.Contains(seen["Address"])))["Address"]);
        }

        return (forwarder, bound);
    }

    /// <summary>Starts a pooler with one pool, "postgres", whose origin is a service.</summary>
    /// <param name="service">The service.</param>
    /// <param name="pool">Further keys of the pool.</param>
    /// <returns>It, and the address it listens on.</returns>
    public async Task<(ProgramProcess Process, IPEndPoint Address)> StartPoolerAsync(string service, IReadOnlyDictionary<string, object>? pool = null)
    {
        var file = Path.Combine(Directory, $"pooler-{_started.Count}.json");
        await File.WriteAllTextAsync(file, JsonSerializer.Serialize(new Dictionary<string, object>
        {
            ["Listen"] = new List<string> { "127.0.0.1:0" },
            ["Users"] = new Dictionary<string, object> { [PoolerUser] = new { Password = PoolerPassword } },
            ["Admins"] = new List<string> { PoolerUser },
            ["GraceSeconds"] = 8,
            ["Pools"] = new Dictionary<string, object>
            {
                ["postgres"] = new Dictionary<string, object>(pool ?? new Dictionary<string, object>())
                {
                    ["Origin"] = $"tunnel://{HostnameOf(service)}:{Port}",
                    ["User"] = "postgres",
                    ["Token"] = new { File = ApplicationToken },
                    ["IngressCaFile"] = CaFile,
                },
            },
        }));
        var pooler = Track(ProgramProcess.Start("tunnel-pooler", ["run", "--config", file, "--log-format", "json"]));
        return (pooler, IPEndPoint.Parse((await pooler.WaitForAsync("PoolerListening"))["Address"]));
    }

    /// <summary>The address of the ingress's own listener for a service.</summary>
    public async Task<IPEndPoint> LocalListenerAsync(string service) =>
        IPEndPoint.Parse((await Ingress.WaitForAsync("LocalListening", seen => seen["Service"] == service && !seen["Address"].StartsWith("unix:", StringComparison.Ordinal)))["Address"]);

    /// <summary>Everything that any of the programs has written.</summary>
    public string AllLogs() => string.Join('\n', _started.Select(static process => process.Output));

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var process in Enumerable.Reverse(_started))
        {
            await process.DisposeAsync();
        }

        // For whoever hunts a failure: TUNNEL_TEST_LOGS=DIRECTORY keeps what the programs wrote.
        if (Environment.GetEnvironmentVariable("TUNNEL_TEST_LOGS") is { Length: > 0 } kept)
        {
            await File.WriteAllTextAsync(Path.Combine(kept, $"{Path.GetFileName(Directory)}.log"), AllLogs());
        }

        System.IO.Directory.Delete(Directory, recursive: true);
    }

    private ProgramProcess Track(ProgramProcess process)
    {
        _started.Add(process);
        return process;
    }
}
