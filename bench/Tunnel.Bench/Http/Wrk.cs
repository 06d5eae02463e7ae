using System.Globalization;
using System.Text.RegularExpressions;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Http;

/// <summary>What one run of wrk said.</summary>
internal sealed record WrkResult(double PerSecond, long Requests, double MedianMilliseconds, double TailMilliseconds);

/// <summary>Debian's HTTP benchmark, run as a program: connections that stay open and send the next request when the answer is there.</summary>
internal static partial class Wrk
{
    private static readonly TimeSpan Slack = TimeSpan.FromSeconds(60);

    /// <exception cref="InvalidOperationException">A request was not answered with success; such a run says nothing.</exception>
    public static async Task<WrkResult> RunAsync(Uri address, int connections, int seconds, CancellationToken cancellationToken)
    {
        var output = await Tool.RunAsync(
            "wrk",
            ["-t", Text(Math.Min(connections, 2)), "-c", Text(connections), "-d", $"{Text(seconds)}s", "--latency", address.AbsoluteUri],
            new Dictionary<string, string>(), TimeSpan.FromSeconds(seconds) + Slack, cancellationToken);
        if (output.Contains("Non-2xx", StringComparison.Ordinal) || output.Contains("Socket errors", StringComparison.Ordinal))
        {
            throw new InvalidOperationException($"not every request succeeded: {output.ReplaceLineEndings(" / ")}");
        }

        return new WrkResult(
            Number(PerSecond(), output), (long)Number(Count(), output), Duration(Median(), output), Duration(Tail(), output));
    }

    private static double Number(Regex line, string output) => double.Parse(Find(line, output).Groups[1].ValueSpan, CultureInfo.InvariantCulture);

    private static double Duration(Regex line, string output)
    {
        var match = Find(line, output);
        return double.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture) * match.Groups[2].Value switch
        {
            "us" => 0.001,
            "ms" => 1,
            "s" => 1000,
            var unit => throw new InvalidOperationException($"wrk's output has the unit '{unit}'"),
        };
    }

    private static Match Find(Regex line, string output) =>
        line.Match(output) is { Success: true } match ? match : throw new InvalidOperationException($"wrk's output has no line like '{line}': {output}");

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^Requests/sec:\s+([0-9.]+)", RegexOptions.Multiline)]
    private static partial Regex PerSecond();

    [GeneratedRegex(@"^\s+([0-9]+) requests in ", RegexOptions.Multiline)]
    private static partial Regex Count();

    [GeneratedRegex(@"^\s+50%\s+([0-9.]+)([a-z]+)", RegexOptions.Multiline)]
    private static partial Regex Median();

    [GeneratedRegex(@"^\s+99%\s+([0-9.]+)([a-z]+)", RegexOptions.Multiline)]
    private static partial Regex Tail();
}
