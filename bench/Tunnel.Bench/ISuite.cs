using Tunnel.Bench.Reporting;

namespace Tunnel.Bench;

/// <summary>Contenders that are compared with each other, and what is measured of them.</summary>
internal interface ISuite
{
    /// <summary>Gets its name on the command line and in the JSON file.</summary>
    string Name { get; }

    /// <summary>Gets the names of its contenders other than the one that always runs.</summary>
    IReadOnlyList<string> Contenders { get; }

    /// <returns>Its tables.</returns>
    Task<IReadOnlyList<SuiteReport>> RunAsync(BenchRun run, CancellationToken cancellationToken);
}
