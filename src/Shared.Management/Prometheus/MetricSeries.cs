using System.Globalization;
using System.Text;

namespace Shared.Management.Prometheus;

/// <summary>The value of an instrument with one set of labels, or its distribution. Safe for concurrent use.</summary>
/// <param name="labels">As they are written, without braces.</param>
/// <param name="bounds">Of a histogram's buckets, ascending.</param>
/// <param name="order">Its place among the series.</param>
internal sealed class MetricSeries(string labels, double[] bounds, long order)
{
    private readonly Lock _gate = new();
    private readonly long[] _buckets = new long[bounds.Length + 1];
    private double _value;
    private bool _isDistributed;

    /// <summary>Its place among the series.</summary>
    public long Order => order;

    public void Set(double value)
    {
        lock (_gate)
        {
            _value = value;
        }
    }

    public void Add(double value)
    {
        lock (_gate)
        {
            _value += value;
        }
    }

    /// <summary>Counts a histogram's value in its bucket, the first whose bound is not below it.</summary>
    public void Distribute(double value)
    {
        var bucket = Array.BinarySearch(bounds, value);
        lock (_gate)
        {
            _isDistributed = true;
            _value += value;
            _buckets[bucket < 0 ? ~bucket : bucket]++;
        }
    }

    /// <summary>Writes its lines.</summary>
    public void Write(StringBuilder text, string name)
    {
        lock (_gate)
        {
            if (!_isDistributed)
            {
                Append(text, name, labels, _value);
                return;
            }

            var count = 0L;
            for (var i = 0; i < _buckets.Length; i++)
            {
                count += _buckets[i];
                var bound = i < bounds.Length ? Number(bounds[i]) : "+Inf";
                Append(text, $"{name}_bucket", $"{labels}{(labels.Length > 0 ? "," : "")}le=\"{bound}\"", count);
            }

            Append(text, $"{name}_sum", labels, _value);
            Append(text, $"{name}_count", labels, count);
        }
    }

    private static void Append(StringBuilder text, string name, string labels, double value)
    {
        text.Append(name);
        if (labels.Length > 0)
        {
            text.Append('{').Append(labels).Append('}');
        }

        text.Append(' ').Append(Number(value)).Append('\n');
    }

    private static string Number(double value) => double.IsPositiveInfinity(value) ? "+Inf" : value.ToString(CultureInfo.InvariantCulture);
}
