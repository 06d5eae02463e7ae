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
    private readonly Stopwatch _watch = Stopwatch.StartNew();

    public bool IsWanted(params IEnumerable<string> names) => Options.Only.Count == 0 || names.Any(Options.Only.Contains);

    public Task SayAsync(string text) => Console.Error.WriteLineAsync($"{_watch.Elapsed:mm\\:ss} {text}");

    public string DirectoryFor(string name) => System.IO.Directory.CreateDirectory(Path.Combine(Directory, name)).FullName;
}
