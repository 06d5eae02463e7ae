using System.Diagnostics;

namespace Tunnel.Bench.Processes;

/// <summary>Runs a program that ends by itself and returns what it printed.</summary>
internal static class Tool
{
    /// <exception cref="InvalidOperationException">It ended with a status other than 0; the message holds what it said.</exception>
    /// <exception cref="TimeoutException">It did not end in time and was killed.</exception>
    public static async Task<string> RunAsync(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(timeout);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            var errors = process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            if (process.ExitCode != 0)
            {
                throw new InvalidOperationException($"{program} ended with status {process.ExitCode}: {(await errors).Trim()} {(await output).Trim()}");
            }

            return await output;
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            cancellationToken.ThrowIfCancellationRequested();
            throw new TimeoutException($"{program} did not end within {timeout.TotalSeconds:0} s");
        }
    }
}
