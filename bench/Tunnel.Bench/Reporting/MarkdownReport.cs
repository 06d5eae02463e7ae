using System.Globalization;
using System.Text;
using Tunnel.Bench.Measures;

namespace Tunnel.Bench.Reporting;

/// <summary>The tables a person reads: one for each suite, a row for each metric, a column for each contender.</summary>
internal static class MarkdownReport
{
    public static string Write(IReadOnlyList<SuiteReport> suites, RunEnvironment environment)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{environment}");
        foreach (var suite in suites)
        {
            text.AppendLine();
            Write(text, suite);
        }

        return text.ToString();
    }

    private static void Write(StringBuilder text, SuiteReport suite)
    {
        var rival = suite.Rival is null ? "" : $"; then the ratio to {suite.Rival}";
        text.AppendLine(CultureInfo.InvariantCulture, $"### {suite.Title}");
        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"Each cell: median (smallest–largest), and the ratio of the medians to {suite.Base}{rival}.");
        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"| | {string.Join(" | ", suite.Columns.Select(column => column.Name))} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"|---|{string.Concat(suite.Columns.Select(_ => "---|"))}");
        foreach (var metric in suite.Metrics.Where(metric => suite.Columns.Any(column => suite.Samples.Values(column.Name, metric).Count > 0)))
        {
            var cells = suite.Columns.Select(column => Cell(suite, column.Name, metric));
            var unit = metric.Unit.Length == 0 ? "" : $" ({metric.Unit})";
            text.AppendLine(CultureInfo.InvariantCulture, $"| {metric.Title}{unit} | {string.Join(" | ", cells)} |");
        }

        text.AppendLine();
        foreach (var column in suite.Columns)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"- {column.Name}: {column.Way}");
        }

        if (suite.Samples.Failures.Count > 0)
        {
            text.AppendLine();
            text.AppendLine("What failed, and is in no number above:");
            text.AppendLine();
            suite.Samples.Failures.ForEach(failure => text.AppendLine(CultureInfo.InvariantCulture, $"- {failure}"));
        }
    }

    private static string Cell(SuiteReport suite, string contender, Metric metric)
    {
        if (suite.Samples.Summarize(contender, metric) is not { } summary)
        {
            return "–";
        }

        var cell = summary.Smallest == summary.Largest
            ? Number(summary.Median)
            : $"{Number(summary.Median)} ({Number(summary.Smallest)}–{Number(summary.Largest)})";
        if (metric.HasRatio && suite.Samples.Summarize(suite.Base, metric) is { Median: > 0 } direct)
        {
            cell += $" **{Ratio(summary.Median / direct.Median)}×**";
        }

        return metric.HasRivalRatio && contender != suite.Base && contender != suite.Rival && suite.Rival is { } rival && suite.Samples.Summarize(rival, metric) is { Median: > 0 } peer
            ? $"{cell} *{Ratio(summary.Median / peer.Median)}×*"
            : cell;
    }

    private static string Ratio(double value) => value.ToString("0.00", CultureInfo.InvariantCulture);

    private static string Number(double value) => value.ToString(
        Math.Abs(value) switch { >= 100 => "#,0", >= 10 => "0.0", >= 1 => "0.00", _ => "0.000" }, CultureInfo.InvariantCulture);
}
