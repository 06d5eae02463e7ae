using System.Diagnostics.Metrics;
using System.Text;
using Shared.Management.Prometheus;

namespace Shared.Management.Tests.Prometheus;

/// <summary>What Prometheus is told.</summary>
public sealed class PrometheusExportTests : IDisposable
{
    private readonly string _meterName = $"tunnel_test_{Guid.NewGuid():N}";
    private readonly Meter _meter;
    private readonly PrometheusExport _export;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public PrometheusExportTests()
    {
        _export = new PrometheusExport(_meterName);
        _meter = new Meter(_meterName);
    }

    [Fact]
    public async Task Counter_has_its_suffix_and_one_series_for_each_set_of_labels()
    {
        var requests = _meter.CreateCounter<long>("requests", description: "Requests");
        requests.Add(2, new KeyValuePair<string, object?>("service", "orders"));
        requests.Add(3, new KeyValuePair<string, object?>("service", "orders"));
        requests.Add(1, new KeyValuePair<string, object?>("service", "page"));

        Assert.Equal(
            [$"# HELP {_meterName}_requests_total Requests", $"# TYPE {_meterName}_requests_total counter", $"{_meterName}_requests_total{{service=\"orders\"}} 5", $"{_meterName}_requests_total{{service=\"page\"}} 1"],
            await OursAsync());
    }

    [Fact]
    public async Task Histogram_counts_cumulatively()
    {
        var seconds = _meter.CreateHistogram("open_seconds", unit: null, description: "Time", advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.5, 1] });
        foreach (var value in new[] { 0.25, 0.75, 0.75, 4 })
        {
            seconds.Record(value);
        }

        Assert.Equal(
            [
                $"# HELP {_meterName}_open_seconds Time", $"# TYPE {_meterName}_open_seconds histogram",
                $"{_meterName}_open_seconds_bucket{{le=\"0.5\"}} 1", $"{_meterName}_open_seconds_bucket{{le=\"1\"}} 3", $"{_meterName}_open_seconds_bucket{{le=\"+Inf\"}} 4",
                $"{_meterName}_open_seconds_sum 5.75", $"{_meterName}_open_seconds_count 4",
            ],
            await OursAsync());
    }

    [Fact]
    public async Task Gauge_is_what_it_is_now()
    {
        var pools = new Dictionary<string, int> { ["one"] = 1, ["two"] = 2 };
        _meter.CreateObservableGauge("clients", () => pools.Select(static pool => new Measurement<int>(pool.Value, new KeyValuePair<string, object?>("pool", pool.Key))), description: "Clients");
        await OursAsync();

        pools["one"] = 7;
        pools.Remove("two");

        Assert.Equal(
            [$"# HELP {_meterName}_clients Clients", $"# TYPE {_meterName}_clients gauge", $"{_meterName}_clients{{pool=\"one\"}} 7"], await OursAsync());
    }

    [Fact]
    public async Task What_goes_up_and_down_is_a_gauge_and_what_is_observed_as_a_whole_is_a_counter()
    {
        var open = _meter.CreateUpDownCounter<long>("open");
        open.Add(3);
        open.Add(-1);
        _meter.CreateObservableCounter("seen", static () => 5.5);
        await OursAsync();

        Assert.Equal(
            [
                $"# HELP {_meterName}_open ", $"# TYPE {_meterName}_open gauge", $"{_meterName}_open 2",
                $"# HELP {_meterName}_seen_total ", $"# TYPE {_meterName}_seen_total counter", $"{_meterName}_seen_total 5.5",
            ],
            await OursAsync());
    }

    [Fact]
    public async Task Labels_of_whoever_counts_at_once_are_each_counted_whole()
    {
        var requests = _meter.CreateCounter<int>("requests");
        await Parallel.ForEachAsync(Enumerable.Range(0, 8_000), Cancelled, (i, _) =>
        {
            requests.Add(1, new("service", $"s{i % 4}"), new KeyValuePair<string, object?>("code", i % 2));
            return ValueTask.CompletedTask;
        });

        Assert.Equal(
            Enumerable.Range(0, 4).Select(i => $"{_meterName}_requests_total{{code=\"{i % 2}\",service=\"s{i}\"}} 2000"),
            (await OursAsync()).Skip(2).Order(StringComparer.Ordinal).OrderBy(static line => line[line.IndexOf("service", StringComparison.Ordinal)..], StringComparer.Ordinal));
    }

    [Fact]
    public async Task Too_many_labels_are_counted_in_one_series_more()
    {
        var requests = _meter.CreateCounter<long>("requests");
        for (var i = 0; i < 20_010; i++)
        {
            requests.Add(1, new KeyValuePair<string, object?>("path", i));
        }

        var lines = (await OursAsync()).Skip(2).ToArray();
        Assert.Equal(20_001, lines.Length);
        Assert.Contains($"{_meterName}_requests_total{{otel_metric_overflow=\"True\"}} 10", lines);
    }

    [Fact]
    public void Known_labels_are_counted_without_an_allocation()
    {
        var requests = _meter.CreateCounter<long>("requests");
        void Count() => requests.Add(1, new("service", "orders"), new KeyValuePair<string, object?>("code", "ok"));
        Count();

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++)
        {
            Count();
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public async Task Label_cannot_break_out_of_its_line()
    {
        _meter.CreateCounter<long>("x", description: "a\nb").Add(1, new KeyValuePair<string, object?>("name", "a\"} 1\nforged{b=\"\\"));

        Assert.Equal(
            [$"# HELP {_meterName}_x_total a\\nb", $"# TYPE {_meterName}_x_total counter", $"{_meterName}_x_total{{name=\"a\\\"}} 1\\nforged{{b=\\\"\\\\\"}} 1"],
            await OursAsync());
    }

    [Fact]
    public async Task Process_is_told_of_in_units_and_types_that_Prometheus_knows()
    {
        var text = await TextAsync();

        Assert.Matches("(?m)^# TYPE dotnet_process_cpu_time_seconds_total counter$", text);
        Assert.Matches("(?m)^dotnet_process_memory_working_set_bytes [1-9][0-9]+$", text);
        Assert.All(text.Split('\n', StringSplitOptions.RemoveEmptyEntries), static line =>
            Assert.Matches("^(# HELP [a-z_]+ .*|# TYPE [a-z_]+ (counter|gauge|histogram)|[a-z_0-9]+(\\{([a-z_]+=\"[^\"]*\",?)+\\})? [-+0-9.eEInf]+)$", line));
    }

    public void Dispose()
    {
        _meter.Dispose();
        _export.Dispose();
    }

    private async Task<IEnumerable<string>> OursAsync() =>
        (await TextAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => line.Contains(_meterName, StringComparison.Ordinal));

    private async Task<string> TextAsync()
    {
        using var stream = new MemoryStream();
        await _export.WriteAsync(stream, Cancelled);
        return Encoding.UTF8.GetString(stream.ToArray());
    }
}
