using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Contenders;

/// <summary>
/// A throw-away PostgreSQL with a pgbench data set, on a Unix socket and on a loopback port. One role needs no password; the
/// other logs in with SCRAM-SHA-256 and is what the poolers and their clients use.
/// </summary>
internal sealed class Database : IAsyncDisposable
{
    public const string Name = "bench";
    public const string PooledRole = "pooled";
    public const string CheapRole = "cheap";

    private const int Scale = 10;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly Daemon _server;

    private Database(Daemon server, UnixDomainSocketEndPoint unix, IPEndPoint tcp, PooledLogin pooled)
    {
        _server = server;
        UnixEndPoint = unix;
        TcpEndPoint = tcp;
        Pooled = pooled;
    }

    public UnixDomainSocketEndPoint UnixEndPoint { get; }

    public IPEndPoint TcpEndPoint { get; }

    public PooledLogin Pooled { get; }

    /// <summary>Gets what libpq's programs need to log in without a password.</summary>
    public static IReadOnlyDictionary<string, string> ClientEnvironment { get; } = new Dictionary<string, string>
    {
        ["PGUSER"] = Name,
        ["PGCONNECT_TIMEOUT"] = "20",
        ["PGSSLMODE"] = "disable",
    };

    public static async Task<Database> StartAsync(string programs, string directory, Certificate certificate, CancellationToken cancellationToken)
    {
        var tcp = FreePort.Next();
        var data = Path.Combine(directory, "data");
        await ServerUser.GiveAsync(directory, cancellationToken);
        await ServerUser.RunAsync(["mkdir", "-m", "700", data], cancellationToken);
        var password = RandomNumberGenerator.GetHexString(32);
        var passwordFile = Path.Combine(directory, "password");
        await ServerUser.WriteSecretAsync(passwordFile, password, cancellationToken);
        await ServerUser.RunAsync(
            [Path.Combine(programs, "initdb"), "-D", data, "-U", "postgres", "--auth=scram-sha-256", $"--pwfile={passwordFile}", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            cancellationToken);

        // `trust` for the role of the tunnel's suite, because checking a password costs more than opening a stream and would
        // hide the difference that the connection rate is to show.
        await File.WriteAllTextAsync(
            Path.Combine(data, "pg_hba.conf"),
            $"local {Name} {Name} trust\nhost {Name} {Name} 127.0.0.1/32 trust\nhost {Name} {PooledRole},{CheapRole} 127.0.0.1/32 scram-sha-256\nlocal all postgres scram-sha-256\n", cancellationToken);
        var serverCertificate = await certificate.CopyToAsync(directory, cancellationToken);
        await File.AppendAllTextAsync(
            Path.Combine(data, "postgresql.conf"),
            $"""

            listen_addresses = '127.0.0.1'
            port = {tcp.Port}
            unix_socket_directories = '{directory}'
            fsync = off
            max_connections = 200
            shared_buffers = 256MB
            ssl = on
            ssl_cert_file = '{serverCertificate.File}'
            ssl_key_file = '{serverCertificate.KeyFile}'

            """,
            cancellationToken);

        var server = new Daemon(ServerUser.Prefix[0], [.. ServerUser.Prefix[1..], Path.Combine(programs, "postgres"), "-D", data], stopSignal: "INT");
        try
        {
            await Readiness.WaitForListenerAsync(tcp, [server], cancellationToken);
            var unix = new UnixDomainSocketEndPoint(Path.Combine(directory, $".s.PGSQL.{tcp.Port.ToString(CultureInfo.InvariantCulture)}"));
            return new Database(server, unix, tcp, await LoadAsync(directory, tcp.Port, password, cancellationToken));
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static async Task<PooledLogin> LoadAsync(string directory, int port, string password, CancellationToken cancellationToken)
    {
        var portText = port.ToString(CultureInfo.InvariantCulture);
        var administrator = new Dictionary<string, string> { ["PGPASSWORD"] = password, ["PGUSER"] = "postgres", ["PGHOST"] = directory, ["PGPORT"] = portText };
        var pooledPassword = RandomNumberGenerator.GetHexString(32);
        var cheapPassword = RandomNumberGenerator.GetHexString(32);
        var cheapVerifier = CheapVerifier.Create(cheapPassword);
        var setup = Path.Combine(directory, "setup.sql");
        await ServerUser.WriteSecretAsync(
            setup,
            $"""
            CREATE ROLE {Name} LOGIN;
            CREATE ROLE {PooledRole} LOGIN PASSWORD '{pooledPassword}' IN ROLE {Name};
            CREATE ROLE {CheapRole} LOGIN PASSWORD '{cheapVerifier}' IN ROLE {Name};
            CREATE DATABASE {Name} OWNER {Name};

            """,
            cancellationToken);
        await PsqlAsync(["-d", "postgres", "-f", setup], administrator, cancellationToken);
        await Tool.RunAsync(
            "pgbench", ["-i", "-q", "-s", Scale.ToString(CultureInfo.InvariantCulture), "-h", directory, "-p", portText, Name], ClientEnvironment, Patience, cancellationToken);
        await PsqlAsync(
            ["-d", Name, "-c", $"SET ROLE {Name}; CREATE TABLE test_data (userId bigint, userText text, isActive bool)"], administrator, cancellationToken);
        var verifier = await PsqlAsync(
            ["-d", "postgres", "-At", "-c", $"SELECT rolpassword FROM pg_authid WHERE rolname = '{PooledRole}'"], administrator, cancellationToken);
        return new PooledLogin(PooledRole, pooledPassword, verifier.Trim()) { Cheap = new PooledLogin(CheapRole, cheapPassword, cheapVerifier) };
    }

    private static Task<string> PsqlAsync(string[] arguments, Dictionary<string, string> environment, CancellationToken cancellationToken) =>
        Tool.RunAsync("psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", .. arguments], environment, Patience, cancellationToken);
}
