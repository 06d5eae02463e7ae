using System.Globalization;
using System.Net;
using System.Text.Json;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Distance;

/// <summary>The times of one short-lived application, in milliseconds; the total ends with the last answer.</summary>
internal sealed record WorkloadTimes(double Connect, double Insert, double Select, double Total);

/// <summary>Runs bench/workload with Node.js.</summary>
internal sealed class Workload(Programs programs, PooledLogin login, Certificate certificate)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    public async Task<IReadOnlyList<WorkloadTimes>> RunAsync(IPEndPoint address, int runs, CancellationToken cancellationToken)
    {
        var environment = new Dictionary<string, string>
        {
            ["PGHOST"] = $"{address.Address}",
            ["PGPORT"] = address.Port.ToString(CultureInfo.InvariantCulture),
            ["PGDATABASE"] = Database.Name,
            ["PGUSERNAME"] = login.User,
            ["PGPASSWORD"] = login.Password,
            ["WORKLOAD_CA"] = certificate.File,
            ["WORKLOAD_RUNS"] = runs.ToString(CultureInfo.InvariantCulture),
        };
        var output = await Tool.RunAsync(
            "node", [Path.Combine(programs.SourceDirectory, "bench", "workload", "workload.mjs")], environment, Patience, cancellationToken);
        return [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Parse)];
    }

    private static WorkloadTimes Parse(string line) =>
        JsonSerializer.Deserialize<WorkloadTimes>(line, JsonSerializerOptions.Web) ?? throw new InvalidOperationException($"the workload printed '{line}'");
}
