using System.Diagnostics.Metrics;

namespace Shared.Management.Prometheus;

/// <summary>What kind of instrument one is.</summary>
/// <param name="Type">The type that Prometheus knows.</param>
/// <param name="IsSum">Each measurement is added to those before; otherwise it is the value.</param>
/// <param name="IsObserved">It is measured at each collection, with all of its labels.</param>
internal readonly record struct MetricKind(string Type, bool IsSum, bool IsObserved)
{
    public const string Counter = "counter";
    public const string Gauge = "gauge";
    public const string Histogram = "histogram";

    /// <summary>The kind of an instrument.</summary>
    /// <exception cref="NotSupportedException">It counts neither in <c>int</c> nor <c>long</c> nor <c>double</c>.</exception>
    public static MetricKind Of(Instrument instrument) => instrument switch
    {
        Counter<int> or Counter<long> or Counter<double> => new(Counter, IsSum: true, IsObserved: false),
        ObservableCounter<int> or ObservableCounter<long> or ObservableCounter<double> => new(Counter, IsSum: false, IsObserved: true),
        UpDownCounter<int> or UpDownCounter<long> or UpDownCounter<double> => new(Gauge, IsSum: true, IsObserved: false),
        Histogram<double> => new(Histogram, IsSum: true, IsObserved: false),
        Gauge<int> or Gauge<long> or Gauge<double> => new(Gauge, IsSum: false, IsObserved: false),
        ObservableGauge<int> or ObservableGauge<long> or ObservableGauge<double>
            or ObservableUpDownCounter<int> or ObservableUpDownCounter<long> or ObservableUpDownCounter<double> => new(Gauge, IsSum: false, IsObserved: true),
        _ => throw new NotSupportedException($"{instrument.Meter.Name} {instrument.Name} is a {instrument.GetType()}"),
    };
}
