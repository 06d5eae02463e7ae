using System.Globalization;
using System.Text;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Measures;

namespace Tunnel.Bench.Reporting;

/// <summary>The table a person reads: a row for each metric, a column for each contender.</summary>
internal static class MarkdownReport
{
    public static string Write(Samples samples, IReadOnlyList<Contender> contenders, RunEnvironment environment)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{environment}");
        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"Each cell: median (smallest–largest), and the ratio of the medians to {Contender.Base}.");
        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"| | {string.Join(" | ", contenders.Select(contender => contender.Name))} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"|---|{string.Concat(contenders.Select(_ => "---|"))}");
        foreach (var metric in Metric.All)
        {
            var cells = contenders.Select(contender => Cell(samples, contender.Name, metric));
            text.AppendLine(CultureInfo.InvariantCulture, $"| {metric.Title} ({metric.Unit}) | {string.Join(" | ", cells)} |");
        }

        text.AppendLine();
        foreach (var contender in contenders)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"- {contender.Name}: {contender.Way}");
        }

        if (samples.Failures.Count > 0)
        {
            text.AppendLine();
            text.AppendLine("What failed, and is in no number above:");
            text.AppendLine();
            samples.Failures.ForEach(failure => text.AppendLine(CultureInfo.InvariantCulture, $"- {failure}"));
        }

        return text.ToString();
    }

    private static string Cell(Samples samples, string contender, Metric metric)
    {
        if (samples.Summarize(contender, metric) is not { } summary)
        {
            return "–";
        }

        var cell = summary.Smallest == summary.Largest
            ? Number(summary.Median)
            : $"{Number(summary.Median)} ({Number(summary.Smallest)}–{Number(summary.Largest)})";
        return metric.HasRatio && samples.Summarize(Contender.Base, metric) is { Median: > 0 } direct
            ? $"{cell} **{(summary.Median / direct.Median).ToString("0.00", CultureInfo.InvariantCulture)}×**"
            : cell;
    }

    private static string Number(double value) => value.ToString(
        Math.Abs(value) switch { >= 100 => "#,0", >= 10 => "0.0", >= 1 => "0.00", _ => "0.000" }, CultureInfo.InvariantCulture);
}
