using System.Net;
using System.Net.Sockets;
using Npgsql;
using Tunnel.EndToEnd.Tests;
using Tunnel.Testing;

[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]
[assembly: AssemblyFixture(typeof(ClusterFixture))]
[assembly: ProgramOutput]

namespace Tunnel.EndToEnd.Tests;

/// <summary>
/// One database without a port and one cluster for all tests that break nothing: services <c>db</c> (the database), <c>raw</c> (a TCP
/// target of the tests), <c>refusing</c>, <c>unresolvable</c> and <c>silent</c>.
/// </summary>
public sealed class ClusterFixture : IAsyncLifetime
{
    private readonly TcpListener _rawTarget = new(IPAddress.Loopback, 0);
    private readonly Socket _silentTarget = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<Socket> _fillers = [];
    private string _forwarderTcp = "";
    private string _forwarderUnix = "";

    public PostgresServer Postgres { get; private set; } = null!;

    public TunnelCluster Cluster { get; private set; } = null!;

    /// <summary>The target of service raw.</summary>
    public TcpListener RawTarget => _rawTarget;

    /// <summary>The forwarder's and the ingress's listeners for service raw.</summary>
    public IReadOnlyDictionary<string, IPEndPoint> RawWays { get; private set; } = new Dictionary<string, IPEndPoint>();

    public static TheoryData<string> WaysIn => new("forwarder TCP", "forwarder Unix", "ingress TCP", "ingress Unix");

    public async ValueTask InitializeAsync()
    {
        Postgres = await PostgresServer.StartAsync();
        (await Postgres.RunAsync("pgbench", "-i", "-s", "2", "-q", "postgres")).EnsureSuccess();
        _rawTarget.Start(1024);
        FillBacklog();
        Cluster = await TunnelCluster.StartAsync(
            new Dictionary<string, string>
            {
                ["db"] = $"unix://{Postgres.SocketPath}",
                ["raw"] = $"tcp://{_rawTarget.LocalEndpoint}",
                ["refusing"] = "tcp://127.0.0.1:1",
                ["unresolvable"] = "tcp://no-such-host.invalid:5432",
                ["silent"] = $"tcp://{_silentTarget.LocalEndPoint}",
            },
            "--local", "db=127.0.0.1:0", "--local", "db=unix:{dir}/.s.PGSQL.6432", "--local", "raw=127.0.0.1:0", "--local", "refusing=127.0.0.1:0");
        var config = Path.Combine(Cluster.Directory, "connector.json");
        await File.WriteAllTextAsync(config, """{ "ConnectTimeoutSeconds": 6 }""");
        await Cluster.StartConnectorAsync("--config", config);
        var (_, addresses) = await Cluster.StartForwarderAsync("db", "127.0.0.1:0", $"unix:{Cluster.Directory}/.s.PGSQL.7432");
        (_forwarderTcp, _forwarderUnix) = (addresses[0], addresses[1]);
        var (_, raw) = await Cluster.StartForwarderAsync("raw");
        RawWays = new Dictionary<string, IPEndPoint>
        {
            ["forwarder"] = IPEndPoint.Parse(raw[0]),
            ["ingress"] = await Cluster.LocalListenerAsync("raw"),
        };
    }

    /// <summary>libpq's host and port for a way in.</summary>
    public async Task<(string Host, string Port)> AddressOfAsync(string way)
    {
        switch (way)
        {
            case "forwarder TCP":
                return Split(IPEndPoint.Parse(_forwarderTcp));
            case "forwarder Unix":
                Assert.EndsWith("7432", _forwarderUnix, StringComparison.Ordinal);
                return (Cluster.Directory, "7432");
            case "ingress TCP":
                return Split(await Cluster.LocalListenerAsync("db"));
            default:
                return (Cluster.Directory, "6432");
        }
    }

    /// <summary>A connection string for a way in.</summary>
    public async Task<string> ConnectionStringAsync(string way)
    {
        var (host, port) = await AddressOfAsync(way);
        return $"Host={host};Port={port};Username=postgres;Database=postgres;Pooling=false;Timeout=60;Command Timeout=120";
    }

    public async Task<NpgsqlConnection> ConnectAsync(string way)
    {
        var connection = new NpgsqlConnection(await ConnectionStringAsync(way));
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        return connection;
    }

    /// <summary>Runs a program of PostgreSQL's through a way in.</summary>
    public async Task<CommandResult> RunAsync(string way, string program, string[] arguments, string? input = null)
    {
        var (host, port) = await AddressOfAsync(way);
        var environment = new Dictionary<string, string> { ["PGHOST"] = host, ["PGPORT"] = port, ["PGUSER"] = "postgres", ["PGCONNECT_TIMEOUT"] = "60" };
        return await CommandLine.RunAsync(program, arguments, environment, input, TimeSpan.FromMinutes(4));
    }

    public async ValueTask DisposeAsync()
    {
        await Cluster.DisposeAsync();
        await Postgres.DisposeAsync();
        _rawTarget.Dispose();
        _silentTarget.Dispose();
        _fillers.ForEach(static filler => filler.Dispose());
    }

    // A full backlog drops the handshake's first packet: the target that never answers.
    private void FillBacklog()
    {
        _silentTarget.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _silentTarget.Listen(0);
        for (var i = 0; i < 4; i++)
        {
            var filler = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
            _fillers.Add(filler);
            Assert.Throws<SocketException>(() => filler.Connect(_silentTarget.LocalEndPoint!));
        }
    }

    private static (string Host, string Port) Split(IPEndPoint endPoint) => (endPoint.Address.ToString(), $"{endPoint.Port}");
}
