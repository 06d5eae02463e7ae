using System.Text.Json;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Measures;

namespace Tunnel.Bench.Reporting;

/// <summary>Every single sample, for comparisons between runs.</summary>
internal static class JsonReport
{
    private static readonly JsonSerializerOptions Indented = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static async Task WriteAsync(
        string file, Samples samples, IReadOnlyList<Contender> contenders, RunEnvironment environment, BenchOptions options, CancellationToken cancellationToken)
    {
        var report = new
        {
            environment,
            options,
            samples.Failures,
            metrics = Metric.All.Select(metric => new { metric.Key, metric.Title, metric.Unit }),
            contenders = contenders.Select(contender => new
            {
                contender.Name,
                contender.Way,
                samples = Metric.All
                    .Where(metric => samples.Values(contender.Name, metric).Count > 0)
                    .ToDictionary(metric => metric.Key, metric => samples.Values(contender.Name, metric)),
            }),
        };
        await using var stream = File.Create(file);
        await JsonSerializer.SerializeAsync(stream, report, Indented, cancellationToken);
    }
}
