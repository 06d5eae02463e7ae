using System.Globalization;
using System.Net;
using System.Text.Json;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>A PostgreSQL with users that have passwords, and poolers before it that are started from a configuration.</summary>
public sealed class PoolerUsersFixture : IAsyncLifetime
{
    private readonly List<ProgramProcess> _poolers = [];

    public PostgresServer Postgres { get; private set; } = null!;

    /// <summary>For configurations and certificates.</summary>
    public string Directory { get; } = System.IO.Directory.CreateTempSubdirectory("pooler-").FullName;

    public async ValueTask InitializeAsync()
    {
        Postgres = await PostgresServer.StartAsync(static data => File.WriteAllTextAsync(
            Path.Combine(data, "pg_hba.conf"),
            "local all alice,bob scram-sha-256\nlocal all carl md5\nlocal replication all trust\nlocal all all trust\n"));
        (await Postgres.RunAsync(
            "psql", "-qc", """
            create role alice login password 'of alice';
            create role bob login password 'of bob';
            set password_encryption = md5;
            create role carl login password 'of carl';
            create role nologin password 'of nobody';
            create role late login password 'too late' valid until '2020-01-01';
            """,
            "-c", "create database orders")).EnsureSuccess();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var pooler in _poolers)
        {
            await pooler.DisposeAsync();
        }

        await Postgres.DisposeAsync();
        System.IO.Directory.Delete(Directory, recursive: true);
    }

    /// <summary>Writes a configuration; a pool's origin is the server when it names none.</summary>
    public async Task<string> ConfigureAsync(string name, object configuration)
    {
        var file = Path.Combine(Directory, $"{name}.json");
        await File.WriteAllTextAsync(file, JsonSerializer.Serialize(configuration));
        return file;
    }

    /// <summary>Starts a pooler.</summary>
    public async Task<(ProgramProcess Process, IPEndPoint Address)> StartAsync(string configurationFile)
    {
        var pooler = ProgramProcess.Start("tunnel-pooler", ["run", "--config", configurationFile, "--log-format", "json"]);
        _poolers.Add(pooler);
        return (pooler, IPEndPoint.Parse((await pooler.WaitForAsync("PoolerListening"))["Address"]));
    }

    /// <summary>Runs a statement through a pooler.</summary>
    public static Task<CommandResult> PsqlAsync(IPEndPoint address, string user, string password, string database, string sql, params (string Name, string Value)[] options)
    {
        var environment = new Dictionary<string, string>
        {
            ["PGHOST"] = "localhost",
            ["PGHOSTADDR"] = address.Address.ToString(),
            ["PGPORT"] = address.Port.ToString(CultureInfo.InvariantCulture),
            ["PGUSER"] = user,
            ["PGPASSWORD"] = password,
            ["PGDATABASE"] = database,
        };
        foreach (var (name, value) in options)
        {
            environment[name] = value;
        }

        return CommandLine.RunAsync("psql", ["-Atc", sql], environment);
    }

    /// <summary>The keys of a pool of this server.</summary>
    public Dictionary<string, object> Pool(params (string Key, object Value)[] more)
    {
        var pool = more.ToDictionary(static pair => pair.Key, static pair => pair.Value);
        pool["Origin"] = $"unix://{Postgres.SocketPath}";
        return pool;
    }
}
