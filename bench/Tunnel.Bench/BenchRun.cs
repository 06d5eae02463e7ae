using System.Diagnostics;
using Tunnel.Bench.Contenders;

namespace Tunnel.Bench;

/// <summary>What all suites of a run share.</summary>
/// <param name="Options">How long and how often to measure.</param>
/// <param name="Programs">Our three programs.</param>
/// <param name="Directory">A directory for whatever a suite writes, deleted at the end.</param>
/// <param name="Certificate">A certificate for localhost.</param>
/// <param name="Database">The target of everything that speaks PostgreSQL.</param>
/// <param name="Raw">The target of everything else.</param>
internal sealed record BenchRun(BenchOptions Options, Programs Programs, string Directory, Certificate Certificate, Database Database, RawTarget Raw)
{
    // In a quick run nobody misses those whose numbers are close to another one's, or say what a default does better.
    private static readonly string[] SkippedWhenQuick = [TunnelSuite.DirectUnixName, TunnelChain.IngressUnixName, TunnelChain.BehindProxyName, TunnelChain.WebSocketsName, StunnelPair.Name];

    private readonly Stopwatch _watch = Stopwatch.StartNew();

    /// <returns>Whether any of these contenders is to run.</returns>
    public bool IsWanted(params IEnumerable<string> names) =>
        names.Any(name => Options.Only.Count > 0 ? Options.Only.Contains(name) : !Options.IsQuick || !SkippedWhenQuick.Contains(name));

    public Task SayAsync(string text) => Console.Error.WriteLineAsync($"{_watch.Elapsed:mm\\:ss} {text}");

    public string DirectoryFor(string name) => System.IO.Directory.CreateDirectory(Path.Combine(Directory, name)).FullName;
}
