using System.Globalization;
using System.Net;
using System.Text.Json;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>An ingress with a PostgreSQL port, and a pool for service db whose database wants a password.</summary>
public sealed class PostgresPortFixture(ClusterFixture others) : IAsyncLifetime
{
    /// <summary>What the pool proves to its database.</summary>
    public const string OriginPassword = "origin-password-that-nobody-may-see";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    /// <summary>The pool's settings.</summary>
    public static string[] Settings => ["--user", "pooled", "--database", "orders", "--max", "4"];

    public PostgresServer Postgres { get; private set; } = null!;

    public TunnelCluster Cluster { get; private set; } = null!;

    /// <summary>The PostgreSQL port.</summary>
    public IPEndPoint Address { get; private set; } = null!;

    /// <summary>A token that is good for the service.</summary>
    public (string Id, string Secret) Token => TokenOf(Cluster.ApplicationToken);

    public async ValueTask InitializeAsync()
    {
        Postgres = await PostgresServer.StartAsync(static data => File.WriteAllTextAsync(
            Path.Combine(data, "pg_hba.conf"), "local all pooled scram-sha-256\nlocal all all trust\n"));
        (await Postgres.RunAsync("psql", "-qc", $"create role pooled login password '{OriginPassword}'", "-c", "create database orders owner pooled")).EnsureSuccess();
        Cluster = await TunnelCluster.StartAsync(
            new Dictionary<string, string> { ["db"] = $"unix://{Postgres.SocketPath}", ["other"] = $"unix://{others.Postgres.SocketPath}" }, "--postgres", "127.0.0.1:0");
        Address = IPEndPoint.Parse((await Cluster.Ingress.WaitForAsync("PostgresListening"))["Address"]);
        await Cluster.StartConnectorAsync();
        await RestorePoolAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Cluster.DisposeAsync();
        await Postgres.DisposeAsync();
    }

    /// <summary>Looks until it is so.</summary>
    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (!await condition())
        {
            await Task.Delay(100, limit.Token);
        }
    }

    /// <summary>The token of a file.</summary>
    public static (string Id, string Secret) TokenOf(string file)
    {
        using var token = JsonDocument.Parse(File.ReadAllText(file));
        return (token.RootElement.GetProperty("clientId").GetString()!, token.RootElement.GetProperty("clientSecret").GetString()!);
    }

    /// <summary>Makes the pool what it was in the beginning, and waits until it serves.</summary>
    public async Task RestorePoolAsync()
    {
        await SetPoolAsync(OriginPassword, Settings);
        await UntilAsync(async () => (await PsqlAsync(HostnameOptions("orders"), Token, "select 1")).ExitCode == 0);
    }

    /// <summary>Makes or changes the pool.</summary>
    public async Task SetPoolAsync(string password, params string[] settings)
    {
        var file = Path.Combine(Cluster.Directory, "origin.password");
        await File.WriteAllTextAsync(file, password + "\n");
        await Cluster.AdminAsync(["pool", "set", "db", "--password-file", file, .. settings]);
    }

    /// <summary>How libpq reaches the service by its hostname.</summary>
    public Dictionary<string, string> HostnameOptions(string database) => new()
    {
        ["PGHOST"] = TunnelCluster.HostnameOf("db"),
        ["PGHOSTADDR"] = "127.0.0.1",
        ["PGSSLMODE"] = "verify-full",
        ["PGSSLROOTCERT"] = Cluster.CaFile,
        ["PGDATABASE"] = database,
    };

    /// <summary>Runs a statement.</summary>
    /// <param name="options">How libpq reaches the service.</param>
    /// <param name="token">As whom.</param>
    /// <param name="sql">The statement.</param>
    /// <param name="connection">What of the connection has no variable, as a connection string.</param>
    public Task<CommandResult> PsqlAsync(Dictionary<string, string> options, (string Id, string Secret) token, string sql, string connection = "")
    {
        options["PGPORT"] = Address.Port.ToString(CultureInfo.InvariantCulture);
        options["PGUSER"] = token.Id;
        options["PGPASSWORD"] = token.Secret;
        return CommandLine.RunAsync("psql", ["-Atc", sql, .. connection.Length > 0 ? ["-d", connection] : Array.Empty<string>()], options);
    }
}
