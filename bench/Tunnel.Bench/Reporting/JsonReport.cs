using System.Text.Json;

namespace Tunnel.Bench.Reporting;

/// <summary>Every single sample, for comparisons between runs.</summary>
internal static class JsonReport
{
    private static readonly JsonSerializerOptions Indented = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static async Task WriteAsync(
        string file, IReadOnlyList<SuiteReport> suites, RunEnvironment environment, BenchOptions options, CancellationToken cancellationToken)
    {
        var report = new
        {
            environment,
            options,
            suites = suites.Select(suite => new
            {
                suite.Name,
                suite.Title,
                suite.Samples.Failures,
                metrics = suite.Metrics.Select(metric => new { metric.Key, metric.Title, metric.Unit }),
                contenders = suite.Columns.Select(column => new
                {
                    column.Name,
                    column.Way,
                    samples = suite.Metrics
                        .Where(metric => suite.Samples.Values(column.Name, metric).Count > 0)
                        .ToDictionary(metric => metric.Key, metric => suite.Samples.Values(column.Name, metric)),
                }),
            }),
        };
        await using var stream = File.Create(file);
        await JsonSerializer.SerializeAsync(stream, report, Indented, cancellationToken);
    }
}
