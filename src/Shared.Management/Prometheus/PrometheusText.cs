using System.Globalization;
using System.Text;
using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace Shared.Management.Prometheus;

/// <summary>
/// Metrics as text for Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4). The names of our own meters
/// begin those of their instruments; the platform's instruments have whole names. Counters end in <c>_total</c>. Not for concurrent use.
/// </summary>
internal sealed class PrometheusText
{
    /// <summary>The type of the text.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly StringBuilder _text = new();

    /// <summary>Adds a metric with all of its series.</summary>
    public void Add(Metric metric)
    {
        var name = NameOf(metric);
        _text.Append("# HELP ").Append(name).Append(' ').Append(Escape(metric.Description, quotes: false)).Append('\n');
        _text.Append("# TYPE ").Append(name).Append(' ').Append(TypeOf(metric.MetricType)).Append('\n');
        foreach (ref readonly var point in metric.GetMetricPoints())
        {
            if (metric.MetricType == MetricType.Histogram)
            {
                AddHistogram(name, in point);
            }
            else
            {
                AddSeries(name, point.Tags, bound: null, ValueOf(metric.MetricType, in point));
            }
        }
    }

    /// <summary>What was added since the last time.</summary>
    public byte[] Take()
    {
        var taken = Encoding.UTF8.GetBytes(_text.ToString());
        _text.Clear();
        return taken;
    }

    private static string NameOf(Metric metric)
    {
        var name = new StringBuilder(metric.MeterName.StartsWith("tunnel_", StringComparison.Ordinal) ? $"{metric.MeterName}_{metric.Name}" : metric.Name);
        for (var i = 0; i < name.Length; i++)
        {
            if (!char.IsAsciiLetterOrDigit(name[i]))
            {
                name[i] = '_';
            }
        }

        var unit = metric.Unit switch { "s" => "_seconds", "By" => "_bytes", _ => "" };
        if (!name.ToString().EndsWith(unit, StringComparison.Ordinal))
        {
            name.Append(unit);
        }

        return name.Append(metric.MetricType is MetricType.LongSum or MetricType.DoubleSum ? "_total" : "").ToString();
    }

    private static string TypeOf(MetricType type) => type switch
    {
        MetricType.LongSum or MetricType.DoubleSum => "counter",
        MetricType.Histogram => "histogram",
        _ => "gauge",
    };

    private static string ValueOf(MetricType type, in MetricPoint point) => type switch
    {
        MetricType.LongSum or MetricType.LongSumNonMonotonic => Number(point.GetSumLong()),
        MetricType.DoubleSum or MetricType.DoubleSumNonMonotonic => Number(point.GetSumDouble()),
        MetricType.LongGauge => Number(point.GetGaugeLastValueLong()),
        MetricType.DoubleGauge => Number(point.GetGaugeLastValueDouble()),
        _ => throw new NotSupportedException($"a metric of type {type}"),
    };

    private void AddHistogram(string name, in MetricPoint point)
    {
        var count = 0L;
        foreach (var bucket in point.GetHistogramBuckets())
        {
            count += bucket.BucketCount;
            AddSeries($"{name}_bucket", point.Tags, double.IsPositiveInfinity(bucket.ExplicitBound) ? "+Inf" : Number(bucket.ExplicitBound), Number(count));
        }

        AddSeries($"{name}_sum", point.Tags, bound: null, Number(point.GetHistogramSum()));
        AddSeries($"{name}_count", point.Tags, bound: null, Number(count));
    }

    private void AddSeries(string name, ReadOnlyTagCollection tags, string? bound, string value)
    {
        _text.Append(name);
        var before = '{';
        foreach (var (key, tag) in tags)
        {
            AddLabel(ref before, key, Convert.ToString(tag, CultureInfo.InvariantCulture));
        }

        if (bound is not null)
        {
            AddLabel(ref before, "le", bound);
        }

        _text.Append(before == '{' ? "" : "}").Append(' ').Append(value).Append('\n');
    }

    private void AddLabel(ref char before, string key, string? value)
    {
        _text.Append(before).Append(key.Replace('.', '_')).Append("=\"").Append(Escape(value, quotes: true)).Append('"');
        before = ',';
    }

    private static string Escape(string? text, bool quotes)
    {
        var escaped = (text ?? "").Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
        return quotes ? escaped.Replace("\"", "\\\"", StringComparison.Ordinal) : escaped;
    }

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Number(double value) => double.IsPositiveInfinity(value) ? "+Inf" : value.ToString(CultureInfo.InvariantCulture);
}
