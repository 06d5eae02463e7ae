using BenchmarkDotNet.Attributes;
using Shared.Streams;
using Shared.Streams.Memory;
using Shared.Streams.Relaying;

namespace Tunnel.Microbench;

/// <summary>A round trip through a relay between two streams in memory, beside one without the relay.</summary>
public class RelayBenchmarks
{
    private readonly List<Task> _running = [];
    private DuplexStream _direct = null!;
    private DuplexStream _relayed = null!;
    private byte[] _message = [];

    [Params(100, 16 * 1024)]
    public int Size { get; set; }

    [GlobalSetup]
    public void Start()
    {
        _message = new byte[Size];
        var (direct, echo) = MemoryDuplexStream.CreatePair();
        var (client, application) = MemoryDuplexStream.CreatePair();
        var (target, far) = MemoryDuplexStream.CreatePair();
        (_direct, _relayed) = (direct, client);
        _running.AddRange([Echo.RunAsync(echo), Echo.RunAsync(far), Relay.RunAsync(application, target, new RelayOptions(), TimeProvider.System)]);
    }

    [GlobalCleanup]
    public Task StopAsync()
    {
        _direct.Abort(StreamAbort.Dropped);
        _relayed.Abort(StreamAbort.Dropped);
        return Task.WhenAll(_running);
    }

    [Benchmark(OperationsPerInvoke = Echo.RoundTrips)]
    public Task MemoryRoundTrip() => Echo.AskAsync(_direct, _message);

    [Benchmark(OperationsPerInvoke = Echo.RoundTrips)]
    public Task RelayRoundTrip() => Echo.AskAsync(_relayed, _message);
}
