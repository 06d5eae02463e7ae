using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Measures;

/// <summary>What one run of pgbench said.</summary>
internal sealed record PgbenchResult(double LatencyMilliseconds, double TailMilliseconds, double PerSecond, long Transactions);

/// <summary>How many transactions a run of pgbench did.</summary>
internal sealed record PgbenchCount(double PerSecond, long Transactions);

/// <summary>PostgreSQL's own select-only benchmark, run as a program against an endpoint.</summary>
internal sealed partial class Pgbench(IReadOnlyDictionary<string, string> environment, string database, string scratchDirectory)
{
    public async Task<PgbenchResult> RunAsync(EndPoint endPoint, int clients, int seconds, CancellationToken cancellationToken)
    {
        var prefix = Path.Combine(scratchDirectory, "transactions");
        var output = await RunAsync(endPoint, ["-M", "prepared", "-l", $"--log-prefix={prefix}"], clients, seconds, cancellationToken);
        return new PgbenchResult(Number(LatencyLine(), output), TakeTail(prefix), Number(ThroughputLine(), output), (long)Number(CountLine(), output));
    }

    /// <summary>Runs it without a log of its transactions.</summary>
    public async Task<PgbenchCount> CountAsync(EndPoint endPoint, string[] arguments, int clients, int seconds, CancellationToken cancellationToken)
    {
        var output = await RunAsync(endPoint, arguments, clients, seconds, cancellationToken);
        return new PgbenchCount(Number(ThroughputLine(), output), (long)Number(CountLine(), output));
    }

    /// <returns>Connections per second: each transaction has one of its own.</returns>
    public async Task<double> ConnectAsync(EndPoint endPoint, int clients, int seconds, CancellationToken cancellationToken) =>
        Number(ThroughputLine(), await RunAsync(endPoint, ["-C"], clients, seconds, cancellationToken));

    private Task<string> RunAsync(EndPoint endPoint, IEnumerable<string> arguments, int clients, int seconds, CancellationToken cancellationToken)
    {
        var (host, port) = HostAndPort(endPoint);
        return Tool.RunAsync(
            "pgbench",
            [
                "-n", "-S", "-c", Text(clients), "-j", Text(Math.Min(clients, 2)), "-T", Text(seconds), .. arguments,
                "-h", host, "-p", Text(port), database,
            ],
            environment, TimeSpan.FromSeconds(seconds + 60), cancellationToken);
    }

    private static (string Host, int Port) HostAndPort(EndPoint endPoint)
    {
        if (endPoint is IPEndPoint ip)
        {
            return (ip.Address.ToString(), ip.Port);
        }

        // libpq is told the directory and the number at the end of the socket's name.
        var path = ((UnixDomainSocketEndPoint)endPoint).ToString();
        return (Path.GetDirectoryName(path)!, int.Parse(Path.GetExtension(path)[1..], CultureInfo.InvariantCulture));
    }

    private static double TakeTail(string prefix)
    {
        var latencies = new List<double>();
        foreach (var file in Directory.EnumerateFiles(Path.GetDirectoryName(prefix)!, Path.GetFileName(prefix) + ".*"))
        {
            // Each line: client, number of the transaction, microseconds, …
            latencies.AddRange(File.ReadLines(file).Select(line => double.Parse(line.Split(' ')[2], CultureInfo.InvariantCulture) / 1000));
            File.Delete(file);
        }

        latencies.Sort();
        return latencies.Count == 0 ? throw new InvalidOperationException("pgbench logged no transaction") : latencies[latencies.Count * 99 / 100];
    }

    private static double Number(Regex line, string output)
    {
        var match = line.Match(output);
        return match.Success
            ? double.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture)
            : throw new InvalidOperationException($"pgbench's output has no line like '{line}': {output}");
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^latency average = ([0-9.]+) ms", RegexOptions.Multiline)]
    private static partial Regex LatencyLine();

    [GeneratedRegex(@"^tps = ([0-9.]+)", RegexOptions.Multiline)]
    private static partial Regex ThroughputLine();

    [GeneratedRegex(@"^number of transactions actually processed: ([0-9]+)", RegexOptions.Multiline)]
    private static partial Regex CountLine();
}
