using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text;

namespace Shared.Management.Prometheus;

/// <summary>
/// An instrument and its series, one for each set of labels, as text for Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/,
/// version 0.0.4). Counters end in <c>_total</c>. Safe for concurrent use.
/// </summary>
internal sealed class MetricFamily
{
    /// <summary>Services, hops and codes multiply; what would be beyond is one series more.</summary>
    private const int MostSeries = 20_000;

    private static readonly KeyValuePair<string, object?>[] Overflow = [new("overflow", "true")];

    private readonly ConcurrentDictionary<KeyValuePair<string, object?>[], MetricSeries> _series = new(LabelSet.Comparer);
    private readonly ConcurrentDictionary<KeyValuePair<string, object?>[], MetricSeries>.AlternateLookup<ReadOnlySpan<KeyValuePair<string, object?>>> _byLabels;
    private readonly MetricKind _kind;
    private readonly string _description;
    private readonly double[] _bounds;
    private long _made;

    /// <summary>The family of an instrument.</summary>
    /// <param name="instrument">Of <c>int</c>, <c>long</c> or <c>double</c>.</param>
    /// <param name="name">Its name, still without unit and suffix.</param>
    /// <exception cref="NotSupportedException">It counts in another type.</exception>
    public MetricFamily(Instrument instrument, string name)
    {
        _byLabels = _series.GetAlternateLookup<ReadOnlySpan<KeyValuePair<string, object?>>>();
        _kind = MetricKind.Of(instrument);
        _description = instrument.Description ?? "";
        _bounds = instrument is Histogram<double> { Advice.HistogramBucketBoundaries: { } advised } ? [.. advised] : [];
        Name = NameOf(name, instrument.Unit, _kind);
    }

    /// <summary>The name that Prometheus knows.</summary>
    public string Name { get; }

    /// <summary>Takes a measurement. Allocates nothing but for labels that are new.</summary>
    public void Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> labels)
    {
        var series = _byLabels.TryGetValue(labels, out var known) ? known : Add(labels);
        if (_kind.Type == MetricKind.Histogram)
        {
            series.Distribute(value);
        }
        else if (_kind.IsSum)
        {
            series.Add(value);
        }
        else
        {
            series.Set(value);
        }
    }

    /// <summary>What is observed is told anew at each collection, and what is not told then has gone.</summary>
    public void ForgetObserved()
    {
        if (_kind.IsObserved)
        {
            _series.Clear();
        }
    }

    /// <summary>Writes all series; nothing while there are none.</summary>
    public void Write(StringBuilder text)
    {
        var all = _series.Values.OrderBy(static series => series.Order).ToArray();
        if (all.Length > 0)
        {
            text.Append("# HELP ").Append(Name).Append(' ').Append(LabelSet.Escape(_description, quotes: false)).Append('\n');
            text.Append("# TYPE ").Append(Name).Append(' ').Append(_kind.Type).Append('\n');
        }

        foreach (var series in all)
        {
            series.Write(text, Name);
        }
    }

    private MetricSeries Add(ReadOnlySpan<KeyValuePair<string, object?>> labels)
    {
        var key = _series.Count < MostSeries ? labels.ToArray() : Overflow;
        return _series.GetOrAdd(key, static (key, family) => new MetricSeries(LabelSet.TextOf(key), family._bounds, Interlocked.Increment(ref family._made)), this);
    }

    private static string NameOf(string given, string? ofUnit, MetricKind kind)
    {
        var name = string.Create(given.Length, given, static (name, given) =>
        {
            for (var i = 0; i < name.Length; i++)
            {
                name[i] = char.IsAsciiLetterOrDigit(given[i]) ? given[i] : '_';
            }
        });
        var unit = ofUnit switch { "s" => "_seconds", "By" => "_bytes", _ => "" };
        return $"{name}{(name.EndsWith(unit, StringComparison.Ordinal) ? "" : unit)}{(kind.Type == MetricKind.Counter ? "_total" : "")}";
    }
}
