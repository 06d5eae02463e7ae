using System.Diagnostics.Tracing;
using Microsoft.Diagnostics.NETCore.Client;
using Microsoft.Diagnostics.Tracing;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Scaling;

/// <summary>What the runtime of a process counted over a while.</summary>
/// <param name="Collections">Garbage collections, by generation.</param>
/// <param name="AllocatedBytes">Bytes allocated on the managed heap.</param>
/// <param name="Contentions">How often a thread had to wait for a lock.</param>
internal sealed record RuntimeCounts(double[] Collections, double AllocatedBytes, double Contentions);

/// <summary>
/// Listens to the event counters of another .NET process by its diagnostics port, as dotnet-counters does, so that the process
/// needs nothing for it. Counters come once a second; those of the last, unfinished second are missing.
/// </summary>
internal sealed class RuntimeCounters : IAsyncDisposable
{
    private const string Provider = "System.Runtime";
    private const string IntervalSeconds = "1";

    private static readonly string[] Generations = ["gen-0-gc-count", "gen-1-gc-count", "gen-2-gc-count"];

    private readonly EventPipeSession _session;
    private readonly Task _reading;
    private readonly Dictionary<string, double> _sums = [];

    private RuntimeCounters(EventPipeSession session)
    {
        _session = session;
        _reading = Task.Factory.StartNew(Read, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    public static async Task<RuntimeCounters> StartAsync(WatchedProcess process, CancellationToken cancellationToken)
    {
        var provider = new EventPipeProvider(
            Provider, EventLevel.Informational, keywords: 0, new Dictionary<string, string> { ["EventCounterIntervalSec"] = IntervalSeconds });
        try
        {
            return new RuntimeCounters(await new DiagnosticsClient(process.Id).StartEventPipeSessionAsync([provider], requestRundown: false, token: cancellationToken));
        }
        catch (DiagnosticsClientException exception)
        {
            throw new InvalidOperationException($"the runtime of {process.Name} gives no counters: {exception.Message}", exception);
        }
    }

    /// <summary>Ends listening.</summary>
    public async Task<RuntimeCounts> StopAsync(CancellationToken cancellationToken)
    {
        await _session.StopAsync(cancellationToken);
        await _reading;
        return _sums.ContainsKey("alloc-rate")
            ? new RuntimeCounts([.. Generations.Select(Sum)], Sum("alloc-rate"), Sum("monitor-lock-contention-count"))
            : throw new InvalidOperationException("no counters came from the runtime");
    }

    public async ValueTask DisposeAsync()
    {
        // Ends the reader when nobody has stopped it.
        _session.Dispose();
        await _reading.ContinueWith(static _ => { }, TaskScheduler.Default);
    }

    private double Sum(string counter) => _sums.GetValueOrDefault(counter);

    private void Read()
    {
        using var source = new EventPipeEventSource(_session.EventStream);
        source.Dynamic.All += Add;
        source.Process();
    }

    // Of the counters that grow, the payload's Increment is the growth since the counter before.
    private void Add(TraceEvent trace)
    {
        if (trace.EventName == "EventCounters"
            && trace.PayloadValue(0) is IDictionary<string, object> { } outer && outer["Payload"] is IDictionary<string, object> counter
            && counter.TryGetValue("Increment", out var increment))
        {
            var name = (string)counter["Name"];
            _sums[name] = _sums.GetValueOrDefault(name) + (double)increment;
        }
    }
}
