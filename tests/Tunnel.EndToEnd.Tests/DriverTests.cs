using System.Globalization;
using System.Net;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Unmodified drivers of other languages, each with a workload of its own, in transaction mode over the tunnel.</summary>
public sealed class DriverTests(DriverTests.SharedPooler pooler) : IClassFixture<DriverTests.SharedPooler>
{
    internal const string Md5User = "old";

    // What pg_authid would keep of him: the md5 of the password and the name.
    internal const string Md5Verifier = "md55e87d63541cc6aa9db2f7201171d13c0";

    [Theory]
    [InlineData("node-postgres", "node", "node-postgres.mjs")]
    [InlineData("postgres.js", "node", "postgres-js.mjs")]
    [InlineData("psycopg", "/usr/bin/python3", "psycopg_workload.py")]
    [InlineData("asyncpg", "/usr/bin/python3", "asyncpg_workload.py")]
    [InlineData("pg8000", "/usr/bin/python3", "pg8000_workload.py", Md5User)]
    [InlineData("jdbc", "java -XX:TieredStopAtLevel=1 -cp /usr/share/java/postgresql.jar", "JdbcWorkload.java")]
    public async Task Workload_runs(string driver, string program, string workload, string user = TunnelCluster.PoolerUser)
    {
        var words = program.Split(' ');

        var result = await CommandLine.RunAsync(
            words[0],
            [.. words[1..], Path.Combine(CommandLine.Root, "tests", "drivers", workload)],
            new Dictionary<string, string>
            {
                ["PGHOST"] = pooler.Address.Address.ToString(),
                ["PGPORT"] = pooler.Address.Port.ToString(CultureInfo.InvariantCulture),
                ["PGUSER"] = user,
                ["PGPASSWORD"] = TunnelCluster.PoolerPassword,
                ["PGDATABASE"] = "postgres",
            },
            timeout: TimeSpan.FromMinutes(4));

        Assert.Equal($"{driver}: ok\n", result.EnsureSuccess().Output);
    }

    /// <summary>A pooler with 5 connections, few statements on each, and a user of the old kind.</summary>
    public sealed class SharedPooler(ClusterFixture fixture) : IAsyncLifetime
    {
        private TunnelCluster _cluster = null!;
        private ProgramProcess _process = null!;

        public IPEndPoint Address { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            _cluster = await TunnelCluster.StartAsync(new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}" });
            await _cluster.StartConnectorAsync();
            var (process, addresses) = await PoolerFile.StartAsync(_cluster.Directory, new
            {
                Listen = new List<string> { "127.0.0.1:0" },
                Users = new Dictionary<string, object>
                {
                    [TunnelCluster.PoolerUser] = new { Password = TunnelCluster.PoolerPassword },
                    [Md5User] = new { Verifier = Md5Verifier },
                },
                Pools = new Dictionary<string, object> { ["postgres"] = PoolerFile.Pool(_cluster, "db", new() { ["Max"] = 5, ["PreparedStatements"] = 64 }) },
            });
            (_process, Address) = (process, IPEndPoint.Parse(addresses[0]));
        }

        public async ValueTask DisposeAsync()
        {
            await _process.DisposeAsync();
            await _cluster.DisposeAsync();
        }
    }
}
