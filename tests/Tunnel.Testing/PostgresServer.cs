using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace Tunnel.Testing;

/// <summary>
/// A throw-away PostgreSQL on a Unix socket only, with no TCP port at all. Run by the user postgres when the tests run as root,
/// because PostgreSQL refuses root; it dies with us.
/// </summary>
public sealed class PostgresServer : IAsyncDisposable
{
    private const int DefaultPort = 5432;
    private const int MostPorts = 5;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly string _directory;
    private readonly string _binaries;
    private ProgramProcess? _server;

    private PostgresServer(string directory, string binaries)
    {
        (_directory, _binaries) = (directory, binaries);
    }

    /// <summary>The directory of the socket, for libpq's host parameter.</summary>
    public string SocketDirectory => _directory;

    /// <summary>The port in the socket's name, and of TCP where it was asked for.</summary>
    public int Port { get; private set; } = DefaultPort;

    /// <summary>The socket.</summary>
    public string SocketPath => Path.Combine(_directory, $".s.PGSQL.{Port}");

    /// <summary>Makes and starts a server; its superuser is postgres, without a password.</summary>
    /// <param name="prepare">Writes into the data directory before the start: settings, certificates, pg_hba.conf.</param>
    /// <param name="tcpPort">A port of the loopback address to listen on, too, 0 for a free one; the socket has its number then.</param>
    public static async Task<PostgresServer> StartAsync(Func<string, Task>? prepare = null, int? tcpPort = null)
    {
        var server = new PostgresServer(Directory.CreateTempSubdirectory("pg-").FullName, FindBinaries());
        if (Environment.IsPrivilegedProcess)
        {
            (await CommandLine.RunAsync("chown", ["postgres", server._directory])).EnsureSuccess();
        }

        (await server.RunAsPostgresAsync("initdb", "-D", server.Data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C")).EnsureSuccess();
        if (prepare is not null)
        {
            await prepare(server.Data);
            if (Environment.IsPrivilegedProcess)
            {
                (await CommandLine.RunAsync("chown", ["-R", "postgres", server.Data])).EnsureSuccess();
            }
        }

        await server.StartServerAsync(tcpPort);
        return server;
    }

    /// <summary>A connection string for the socket.</summary>
    public string ConnectionString(string database = "postgres") =>
        $"Host={_directory};Port={Port};Username=postgres;Database={database};Pooling=false";

    /// <summary>Runs a command of PostgreSQL's against the socket.</summary>
    public Task<CommandResult> RunAsync(string program, params string[] arguments) =>
        CommandLine.RunAsync(program, arguments, new Dictionary<string, string>
        {
            ["PGHOST"] = _directory,
            ["PGPORT"] = Port.ToString(CultureInfo.InvariantCulture),
            ["PGUSER"] = "postgres",
        });

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            await StopServerAsync(_server);
        }

        Directory.Delete(_directory, recursive: true);
    }

    private string Data => Path.Combine(_directory, "data");

    private async Task StartServerAsync(int? tcpPort)
    {
        for (var attempt = 1; ; attempt++)
        {
            Port = tcpPort is 0 ? LoopbackPort.Choose() : tcpPort ?? DefaultPort;
            var server = _server = LaunchServer(listens: tcpPort is not null);
            if (await AnswersAsync(server))
            {
                return;
            }

            // Nobody can keep a port free between its choice and the server's start: somebody else may have chosen it.
            if (tcpPort is not 0 || attempt == MostPorts || !IsPortTaken(server))
            {
                throw new TimeoutException($"PostgreSQL did not start:\n{server.Output}");
            }

            await StopServerAsync(server);
        }
    }

    private ProgramProcess LaunchServer(bool listens)
    {
        string[] arguments =
        [
            "-D", Data, "-k", _directory, "-p", Port.ToString(CultureInfo.InvariantCulture), "-c", $"listen_addresses={(listens ? "127.0.0.1" : "")}", "-c", "fsync=off",
            "-c", "full_page_writes=off", "-c", "max_connections=200", "-c", "max_wal_size=4GB",
        ];
        var (program, all) = AsPostgres("postgres", arguments);

        // The shell stops the server when its input ends: by us, or because we have died.
        return ProgramProcess.Start("sh", ["-c", "\"$@\" & read _; kill -QUIT $!; wait $!", "sh", program, .. all]);
    }

    private async Task<bool> AnswersAsync(ProgramProcess server)
    {
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < Patience && !IsPortTaken(server);)
        {
            try
            {
                await using var connection = new NpgsqlConnection(ConnectionString());
                await connection.OpenAsync();
                return true;
            }
            catch (NpgsqlException)
            {
                await Task.Delay(100);
            }
        }

        return false;
    }

    private static bool IsPortTaken(ProgramProcess server) => server.Output.Contains("could not create any TCP/IP sockets", StringComparison.Ordinal);

    private static async Task StopServerAsync(ProgramProcess server)
    {
        server.CloseInput();
        await server.WaitForExitAsync(Patience);
        await server.DisposeAsync();
    }

    private Task<CommandResult> RunAsPostgresAsync(string program, params string[] arguments)
    {
        var (command, all) = AsPostgres(program, arguments);
        return CommandLine.RunAsync(command, all, timeout: TimeSpan.FromMinutes(2));
    }

    private (string Program, string[] Arguments) AsPostgres(string program, string[] arguments)
    {
        var path = Path.Combine(_binaries, program);
        return Environment.IsPrivilegedProcess
            ? ("setpriv", ["--reuid=postgres", "--regid=postgres", "--clear-groups", path, .. arguments])
            : (path, arguments);
    }

    private static string FindBinaries()
    {
        var debian = Directory.Exists("/usr/lib/postgresql")
            ? Directory.GetDirectories("/usr/lib/postgresql").OrderByDescending(static version => version, StringComparer.Ordinal).Select(static version => Path.Combine(version, "bin"))
            : [];
        var path = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        return debian.Concat(path).FirstOrDefault(static directory => File.Exists(Path.Combine(directory, "initdb")))
            ?? throw new InvalidOperationException("PostgreSQL's server programs are not installed; 'make test' installs them.");
    }
}
