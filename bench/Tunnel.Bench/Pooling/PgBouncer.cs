using System.Net;
using System.Text.RegularExpressions;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Pooling;

/// <summary>
/// Debian's PgBouncer in transaction mode with prepared statements, as many server connections and as many statements kept as
/// the other pooler has, and otherwise its default settings and log.
/// </summary>
internal sealed partial class PgBouncer : IAsyncDisposable
{
    public const string Name = "PgBouncer";
    public const int PoolSize = 20;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private static readonly Version FirstWithStatements = new(1, 21);

    private readonly Daemon _daemon;

    private PgBouncer(Daemon daemon, IPEndPoint address, bool sharesStatements)
    {
        _daemon = daemon;
        Address = address;
        SharesStatements = sharesStatements;
    }

    public IPEndPoint Address { get; }

    /// <summary>Gets whether this version keeps prepared statements.</summary>
    public bool SharesStatements { get; }

    public WatchedProcess Process => new(Name, _daemon.Id);

    private static string Program => Environment.GetEnvironmentVariable("PGBOUNCER") is { Length: > 0 } path ? path : "pgbouncer";

    public static async Task<Version> ReadVersionAsync(CancellationToken cancellationToken)
    {
        var output = await Tool.RunAsync(Program, ["--version"], new Dictionary<string, string>(), Patience, cancellationToken);
        return Version.Parse(VersionNumber().Match(output).Groups[1].Value);
    }

    /// <summary>Starts it; with a certificate, its clients and its connections to the database use TLS.</summary>
    public static async Task<PgBouncer> StartAsync(
        string directory, PooledLogin login, IPEndPoint database, Certificate? certificate, CancellationToken cancellationToken)
    {
        var address = FreePort.Next();
        var sharesStatements = await ReadVersionAsync(cancellationToken) >= FirstWithStatements;
        await ServerUser.GiveAsync(directory, cancellationToken);
        var users = Path.Combine(directory, "users.txt");
        var known = login.All.Select(user => $"\"{user.User}\" \"{user.Verifier}\"\n");
        await ServerUser.WriteSecretAsync(users, string.Concat(known), cancellationToken);
        List<string> lines =
        [
            "[databases]",
            $"{Database.Name} = host={database.Address} port={database.Port} user={login.User} password={login.Password}",
            "[pgbouncer]",
            $"listen_addr = {address.Address}", $"listen_port = {address.Port}", "unix_socket_dir =",
            "auth_type = scram-sha-256", $"auth_file = {users}",
            "pool_mode = transaction", $"default_pool_size = {PoolSize}", "max_client_conn = 15000",
        ];
        if (sharesStatements)
        {
            lines.Add("max_prepared_statements = 256");
        }

        if (ServerUser.NameToBecome is { } user)
        {
            lines.Add($"user = {user}");
        }

        if (certificate is null)
        {
            lines.Add("server_tls_sslmode = disable");
        }
        else
        {
            var copy = await certificate.CopyToAsync(directory, cancellationToken);
            lines.AddRange(["client_tls_sslmode = require", $"client_tls_cert_file = {copy.File}", $"client_tls_key_file = {copy.KeyFile}", "server_tls_sslmode = require"]);
        }

        var file = Path.Combine(directory, "pgbouncer.ini");
        await ServerUser.WriteSecretAsync(file, string.Join('\n', lines) + '\n', cancellationToken);
        var daemon = new Daemon(Program, [file], stopSignal: "QUIT");
        try
        {
            await Readiness.WaitForListenerAsync(address, [daemon], cancellationToken);
            return new PgBouncer(daemon, address, sharesStatements);
        }
        catch
        {
            await daemon.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => _daemon.DisposeAsync();

    [GeneratedRegex(@"^PgBouncer ([0-9]+\.[0-9]+(?:\.[0-9]+)?)", RegexOptions.Multiline)]
    private static partial Regex VersionNumber();
}
