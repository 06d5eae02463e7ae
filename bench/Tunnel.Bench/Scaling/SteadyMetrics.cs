using Tunnel.Bench.Measures;
using Tunnel.Bench.Reporting;

namespace Tunnel.Bench.Scaling;

/// <summary>The rows of one steady load.</summary>
/// <param name="Key">The beginning of their keys in the JSON file.</param>
/// <param name="Title">What the load is.</param>
/// <param name="Operation">What it counts.</param>
internal sealed record SteadyMetrics(string Key, string Title, string Operation)
{
    private const double Million = 1_000_000;

    private Metric Operations => Row("operations", $"{Title}: number of them", Operation == "MiB" ? Operation : "");

    private Metric Allocated => Row("allocated", "… allocated for each", "B");

    private Metric Gen0 => Row("gen0", "… collections of generation 0", "");

    private Metric Gen1 => Row("gen1", "… of generation 1", "");

    private Metric Gen2 => Row("gen2", "… of generation 2", "");

    private Metric Contentions => Row("contentions", "… waits for a lock", "");

    private Metric ContentionsPerMillion => Row("contentions_per_million", "… for a million of them", "");

    public IEnumerable<Metric> All => [Operations, Allocated, Gen0, Gen1, Gen2, Contentions, ContentionsPerMillion];

    public void Add(Samples samples, string process, RuntimeCounts counts, double operations)
    {
        samples.Add(process, Operations, operations);
        samples.Add(process, Allocated, counts.AllocatedBytes / operations);
        samples.Add(process, Gen0, counts.Collections[0]);
        samples.Add(process, Gen1, counts.Collections[1]);
        samples.Add(process, Gen2, counts.Collections[2]);
        samples.Add(process, Contentions, counts.Contentions);
        samples.Add(process, ContentionsPerMillion, counts.Contentions / operations * Million);
    }

    private Metric Row(string name, string title, string unit) => new($"{Key}_{name}", title, unit, HasRatio: false, HasRivalRatio: false);
}
