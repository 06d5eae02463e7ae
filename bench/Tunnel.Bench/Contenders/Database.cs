using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Contenders;

/// <summary>A throw-away PostgreSQL with a pgbench data set, on a Unix socket and on a loopback port.</summary>
internal sealed class Database : IAsyncDisposable
{
    public const string Name = "bench";

    private const int Scale = 10;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly Daemon _server;

    private Database(Daemon server, UnixDomainSocketEndPoint unix, IPEndPoint tcp)
    {
        _server = server;
        UnixEndPoint = unix;
        TcpEndPoint = tcp;
    }

    public UnixDomainSocketEndPoint UnixEndPoint { get; }

    public IPEndPoint TcpEndPoint { get; }

    /// <summary>Gets what libpq's programs need to log in.</summary>
    public static IReadOnlyDictionary<string, string> ClientEnvironment { get; } = new Dictionary<string, string>
    {
        ["PGUSER"] = Name,
        ["PGCONNECT_TIMEOUT"] = "20",
    };

    // PostgreSQL refuses to run as root, so it runs as its own user then, from a directory which that user can enter.
    private static string[] UserPrefix { get; } =
        Environment.IsPrivilegedProcess ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "env", "-C", "/"] : ["env"];

    public static async Task<Database> StartAsync(string programs, string directory, CancellationToken cancellationToken)
    {
        var tcp = FreePort.Next();
        var data = Path.Combine(directory, "data");
        await AsUserAsync(["mkdir", "-m", "700", data], cancellationToken, owner: directory);
        var password = RandomNumberGenerator.GetHexString(32);
        var passwordFile = Path.Combine(directory, "password");
        await File.WriteAllTextAsync(passwordFile, password, cancellationToken);
        File.SetUnixFileMode(passwordFile, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await ChangeOwnerAsync(passwordFile, cancellationToken);
        await AsUserAsync(
            [Path.Combine(programs, "initdb"), "-D", data, "-U", "postgres", "--auth=scram-sha-256", $"--pwfile={passwordFile}", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            cancellationToken);

        // `trust` for the one unprivileged role, because checking a password costs more than opening a stream and would
        // hide the difference that the connection rate is to show.
        await File.WriteAllTextAsync(
            Path.Combine(data, "pg_hba.conf"),
            $"local {Name} {Name} trust\nhost {Name} {Name} 127.0.0.1/32 trust\nlocal all postgres scram-sha-256\n", cancellationToken);
        await File.AppendAllTextAsync(
            Path.Combine(data, "postgresql.conf"),
            $"""

            listen_addresses = '127.0.0.1'
            port = {tcp.Port}
            unix_socket_directories = '{directory}'
            fsync = off
            max_connections = 200
            shared_buffers = 256MB

            """,
            cancellationToken);

        var server = new Daemon(UserPrefix[0], [.. UserPrefix[1..], Path.Combine(programs, "postgres"), "-D", data], stopSignal: "INT");
        try
        {
            await Readiness.WaitForListenerAsync(tcp, [server], cancellationToken);
            var unix = new UnixDomainSocketEndPoint(Path.Combine(directory, $".s.PGSQL.{tcp.Port.ToString(CultureInfo.InvariantCulture)}"));
            await LoadAsync(directory, tcp.Port, password, cancellationToken);
            return new Database(server, unix, tcp);
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static async Task LoadAsync(string directory, int port, string password, CancellationToken cancellationToken)
    {
        var portText = port.ToString(CultureInfo.InvariantCulture);
        var administrator = new Dictionary<string, string> { ["PGPASSWORD"] = password, ["PGUSER"] = "postgres", ["PGHOST"] = directory, ["PGPORT"] = portText };
        string[] statements = [$"CREATE ROLE {Name} LOGIN", $"CREATE DATABASE {Name} OWNER {Name}"];
        foreach (var statement in statements)
        {
            await Tool.RunAsync("psql", ["-X", "-q", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-c", statement], administrator, Patience, cancellationToken);
        }

        await Tool.RunAsync(
            "pgbench", ["-i", "-q", "-s", Scale.ToString(CultureInfo.InvariantCulture), "-h", directory, "-p", portText, Name], ClientEnvironment, Patience, cancellationToken);
    }

    private static async Task AsUserAsync(string[] command, CancellationToken cancellationToken, string? owner = null)
    {
        if (owner is not null)
        {
            await ChangeOwnerAsync(owner, cancellationToken);
        }

        await Tool.RunAsync(UserPrefix[0], [.. UserPrefix[1..], .. command], new Dictionary<string, string>(), Patience, cancellationToken);
    }

    private static async Task ChangeOwnerAsync(string path, CancellationToken cancellationToken)
    {
        if (Environment.IsPrivilegedProcess)
        {
            await Tool.RunAsync("chown", ["postgres:", path], new Dictionary<string, string>(), Patience, cancellationToken);
        }
    }
}
