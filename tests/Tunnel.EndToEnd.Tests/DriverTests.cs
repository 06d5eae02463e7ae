using System.Globalization;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Unmodified drivers of other languages, each with a workload of its own, in transaction mode over the tunnel.</summary>
public sealed class DriverTests(ClusterFixture fixture)
{
    [Theory]
    [InlineData("node-postgres", "node", "node-postgres.mjs")]
    [InlineData("postgres.js", "node", "postgres-js.mjs")]
    [InlineData("psycopg", "/usr/bin/python3", "psycopg_workload.py")]
    public async Task Workload_runs(string driver, string program, string workload)
    {
        await using var cluster = await TunnelCluster.StartAsync(new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}" });
        await cluster.StartConnectorAsync();
        var (_, address) = await cluster.StartPoolerAsync("db", new Dictionary<string, object> { ["Max"] = 6 });

        var result = await CommandLine.RunAsync(
            program,
            [Path.Combine(CommandLine.Root, "tests", "drivers", workload)],
            new Dictionary<string, string>
            {
                ["PGHOST"] = address.Address.ToString(),
                ["PGPORT"] = address.Port.ToString(CultureInfo.InvariantCulture),
                ["PGUSER"] = TunnelCluster.PoolerUser,
                ["PGPASSWORD"] = TunnelCluster.PoolerPassword,
                ["PGDATABASE"] = "postgres",
            },
            timeout: TimeSpan.FromMinutes(1));

        Assert.Equal($"{driver}: ok\n", result.EnsureSuccess().Output);
    }
}
