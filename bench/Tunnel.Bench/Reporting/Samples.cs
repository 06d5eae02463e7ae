using System.Net.Sockets;
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

    /// <summary>Runs a measurement; when it fails, that is noted and the run goes on.</summary>
    public async Task AttemptAsync(string contender, string name, Func<Task> measure, CancellationToken cancellationToken)
    {
        try
        {
            await measure();
        }
        catch (Exception exception) when (
            exception is InvalidOperationException or TimeoutException or IOException or SocketException
            || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            // Losing a connection is a result too; hiding it, or losing the whole run over it, would both be wrong.
            var failure = $"{contender}, {name}: {exception.Message}";
            Failures.Add(failure);
            await Console.Error.WriteLineAsync($"  FAILED {failure}");
        }
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
