using BenchmarkDotNet.Attributes;
using Shared.Streams;
using Shared.Streams.Memory;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;

namespace Tunnel.Microbench;

/// <summary>Streams of a carrier in memory: a round trip on one that is open, and opening one.</summary>
public class MultiplexerBenchmarks
{
    private readonly List<Task> _running = [];
    private Multiplexer _opener = null!;
    private MultiplexedStream _stream = null!;
    private byte[] _message = [];

    [Params(100, 16 * 1024)]
    public int Size { get; set; }

    [GlobalSetup]
    public async Task StartAsync()
    {
        _message = new byte[Size];
        var (left, right) = MemoryDuplexStream.CreatePair();
        _opener = new Multiplexer(left, TimeProvider.System);
        var acceptor = new Multiplexer(right, TimeProvider.System, incoming => _ = AcceptAsync(incoming));
        _running.AddRange([_opener.RunAsync(), acceptor.RunAsync()]);
        _stream = await OpenAsync();
    }

    [GlobalCleanup]
    public Task StopAsync()
    {
        _opener.Abort(StreamAbort.Dropped);
        return Task.WhenAll(_running).ContinueWith(static _ => { }, TaskScheduler.Default);
    }

    [Benchmark(OperationsPerInvoke = Echo.RoundTrips)]
    public Task CarrierRoundTrip() => Echo.AskAsync(_stream, _message);

    /// <summary>Opened, one message there and back, ended in order by both.</summary>
    [Benchmark]
    public async Task OpenAskAndEnd()
    {
        var stream = await OpenAsync();
        await stream.WriteAsync(_message);
        for (var missing = Size; missing > 0;)
        {
            missing -= await stream.ReadAsync(_message.AsMemory(0, missing));
        }

        await stream.CompleteWritesAsync();
        await stream.ReadAsync(_message);
        await stream.DisposeAsync();
    }

    private static async Task AcceptAsync(IncomingStream incoming)
    {
        var stream = await incoming.AcceptAsync(CancellationToken.None);
        await Echo.RunAsync(stream);
        try
        {
            await stream.CompleteWritesAsync();
        }
        catch (StreamAbortedException)
        {
            // The end of the benchmark.
        }

        await stream.DisposeAsync();
    }

    private async Task<MultiplexedStream> OpenAsync()
    {
        var stream = _opener.Open(new Open("stream", "service"));
        return await stream.Answer is Opened ? stream : throw new InvalidOperationException("the stream was refused");
    }
}
