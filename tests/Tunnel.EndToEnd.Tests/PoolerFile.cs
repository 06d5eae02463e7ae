using System.Text.Json;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Configurations of the pooler that a test writes itself.</summary>
internal static class PoolerFile
{
    /// <summary>A pool whose origin is a service of the cluster.</summary>
    public static Dictionary<string, object> Pool(TunnelCluster cluster, string service, Dictionary<string, object>? more = null) =>
        new(more ?? [])
        {
            ["Origin"] = $"tunnel://{TunnelCluster.HostnameOf(service)}:{cluster.Port}",
            ["User"] = more?.GetValueOrDefault("User") ?? "postgres",
            ["Database"] = more?.GetValueOrDefault("Database") ?? "postgres",
            ["Token"] = more?.GetValueOrDefault("Token") ?? new { File = cluster.ApplicationToken },
            ["IngressCaFile"] = more?.GetValueOrDefault("IngressCaFile") ?? cluster.CaFile,
        };

    /// <summary>Starts a pooler.</summary>
    /// <param name="directory">Where its configuration is written.</param>
    /// <param name="configuration">The keys of the file.</param>
    /// <param name="listeners">How many addresses it listens on.</param>
    /// <returns>It, and its addresses in the order of its log.</returns>
    public static async Task<(ProgramProcess Process, IReadOnlyList<string> Addresses)> StartAsync(string directory, object configuration, int listeners = 1)
    {
        var pooler = ProgramProcess.Start("tunnel-pooler", ["run", "--config", await WriteAsync(directory, configuration), "--log-format", "json"]);
        var bound = new List<string>();
        while (bound.Count < listeners)
        {
            bound.Add((await pooler.WaitForAsync("PoolerListening", seen => !bound.Contains(seen["Address"])))["Address"]);
        }

        return (pooler, bound);
    }

    /// <summary>Tries one pool with <c>tunnel-pooler check</c>.</summary>
    public static async Task<CommandResult> CheckAsync(string directory, Dictionary<string, object> pool) => await CommandLine.RunAsync(
        "tunnel-pooler",
        ["check", "--config", await WriteAsync(directory, new { Pools = new Dictionary<string, object> { ["tried"] = pool } })]);

    private static async Task<string> WriteAsync(string directory, object configuration)
    {
        var file = Path.Combine(directory, $"{Path.GetRandomFileName()}.json");
        await File.WriteAllTextAsync(file, JsonSerializer.Serialize(configuration));
        return file;
    }
}
