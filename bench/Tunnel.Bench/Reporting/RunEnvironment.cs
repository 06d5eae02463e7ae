using System.Globalization;
using System.Runtime.InteropServices;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Reporting;

/// <summary>What the numbers were measured on; without it they mean nothing.</summary>
internal sealed record RunEnvironment(string Date, string Processor, int Cores, string Kernel, string Runtime, string Postgres, string OpenSsh, string PgBouncer, string Node)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    public static async Task<RunEnvironment> ReadAsync(CancellationToken cancellationToken)
    {
        var nothing = new Dictionary<string, string>();
        var pgbench = await Tool.RunAsync("pgbench", ["--version"], nothing, Patience, cancellationToken);
        // `ssh -V` says it on standard error.
        var ssh = await Tool.RunAsync("sh", ["-c", "ssh -V 2>&1"], nothing, Patience, cancellationToken);
        return new RunEnvironment(
            DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
            await ReadProcessorAsync(cancellationToken), Environment.ProcessorCount, Environment.OSVersion.Version.ToString(),
            RuntimeInformation.FrameworkDescription, pgbench.Trim().Replace("pgbench ", "", StringComparison.Ordinal), ssh.Trim(),
            $"{await Pooling.PgBouncer.ReadVersionAsync(cancellationToken)}", (await Tool.RunAsync("node", ["--version"], nothing, Patience, cancellationToken)).Trim());
    }

    public override string ToString() =>
        $"{Date}; {Cores} cores of {Processor}; Linux {Kernel}; {Runtime}; {Postgres}; {OpenSsh}; PgBouncer {PgBouncer}; Node.js {Node}. Client, target and everything between share this machine.";

    private static async Task<string> ReadProcessorAsync(CancellationToken cancellationToken)
    {
        var lines = await File.ReadAllLinesAsync("/proc/cpuinfo", cancellationToken);
        var model = lines.FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal));
        return model is null ? RuntimeInformation.ProcessArchitecture.ToString() : model[(model.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
    }
}
