using Tunnel.Bench.Measures;

namespace Tunnel.Bench.Reporting;

/// <summary>A contender as the report shows it.</summary>
/// <param name="Name">Short name, the column of the table and the key in the JSON file.</param>
/// <param name="Way">What lies between the client and the target.</param>
internal sealed record ReportColumn(string Name, string Way);

/// <summary>What a suite has measured.</summary>
/// <param name="Name">The suite's name.</param>
/// <param name="Title">The headline of its table.</param>
/// <param name="Columns">Its contenders; the ratios are to the first.</param>
/// <param name="Metrics">Its rows.</param>
/// <param name="Samples">The numbers.</param>
/// <param name="Rival">The contender whom further ratios are to, if any.</param>
internal sealed record SuiteReport(
    string Name, string Title, IReadOnlyList<ReportColumn> Columns, IReadOnlyList<Metric> Metrics, Samples Samples, string? Rival = null)
{
    public string Base => Columns[0].Name;
}
