using Tunnel.Bench.Measures;

namespace Tunnel.Bench.Reporting;

/// <summary>The median of one contender's samples of one metric, with the smallest and the largest.</summary>
internal sealed record Summary(double Median, double Smallest, double Largest);

/// <summary>Everything that was measured, in the order in which it was.</summary>
internal sealed class Samples
{
    private readonly Dictionary<(string Contender, string Metric), List<double>> _values = [];

    /// <summary>Gets what went wrong, one line each. A contender that fails is measured on, and the run ends with a failure.</summary>
    public List<string> Failures { get; } = [];

    public void Add(string contender, Metric metric, double value)
    {
        if (!_values.TryGetValue((contender, metric.Key), out var values))
        {
            _values[(contender, metric.Key)] = values = [];
        }

        values.Add(value);
    }

    public IReadOnlyList<double> Values(string contender, Metric metric) =>
        _values.TryGetValue((contender, metric.Key), out var values) ? values : [];

    public Summary? Summarize(string contender, Metric metric)
    {
        var sorted = Values(contender, metric).Order().ToArray();
        if (sorted.Length == 0)
        {
            return null;
        }

        var middle = sorted.Length / 2;
        var median = sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
        return new Summary(median, sorted[0], sorted[^1]);
    }
}
