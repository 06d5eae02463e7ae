using System.Net.WebSockets;
using BenchmarkDotNet.Attributes;
using Shared.Streams;
using Shared.Streams.Memory;
using Shared.Streams.WebSockets;

namespace Tunnel.Microbench;

/// <summary>A WebSocket over a stream in memory: a message of a client there, masked, and a message of the server back.</summary>
public class WebSocketBenchmarks
{
    private DuplexStream _client = null!;
    private Task _running = Task.CompletedTask;
    private byte[] _message = [];

    [Params(100, 16 * 1024)]
    public int Size { get; set; }

    [GlobalSetup]
    public void Start()
    {
        _message = new byte[Size];
        var (left, right) = MemoryDuplexStream.CreatePair();
        _client = Over(left, isServer: false);
        _running = Echo.RunAsync(Over(right, isServer: true));
    }

    [GlobalCleanup]
    public Task StopAsync()
    {
        _client.Abort(StreamAbort.Dropped);
        return _running;
    }

    [Benchmark(OperationsPerInvoke = Echo.RoundTrips)]
    public Task WebSocketRoundTrip() => Echo.AskAsync(_client, _message);

    private static ChannelStream Over(DuplexStream stream, bool isServer) => new(WebSocket.CreateFromStream(
        new AdaptedStream(stream, leaveOpen: true), new WebSocketCreationOptions { IsServer = isServer, KeepAliveInterval = Timeout.InfiniteTimeSpan }));
}
