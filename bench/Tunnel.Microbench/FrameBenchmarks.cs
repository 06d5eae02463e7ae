using BenchmarkDotNet.Attributes;
using Shared.Streams;
using Shared.Streams.Multiplexing;

namespace Tunnel.Microbench;

/// <summary>Frames of a carrier: their headers, and the writer that collects them, over a stream that takes everything at once.</summary>
public class FrameBenchmarks
{
    private const int Frames = 1000;

    private readonly byte[] _header = new byte[FrameHeader.Size];
    private readonly RoomSignal _room = new();
    private readonly FrameWriter _writer = new(new Sink());
    private byte[] _payload = [];
    private Task _running = Task.CompletedTask;

    [Params(100, 16 * 1024)]
    public int Size { get; set; }

    [GlobalSetup]
    public void Start()
    {
        _payload = new byte[Size];
        _running = _writer.RunAsync();
    }

    [GlobalCleanup]
    public Task StopAsync()
    {
        _writer.Close();
        return _running;
    }

    [Benchmark]
    public int HeaderWriteAndRead()
    {
        new FrameHeader(7, FrameType.Data, Size).Write(_header);
        return FrameHeader.Read(_header).Length;
    }

    [Benchmark(OperationsPerInvoke = Frames)]
    public void WriteFrame()
    {
        for (var i = 0; i < Frames; i++)
        {
            if (!_writer.TryWriteData(7, _payload, _room))
            {
                throw new InvalidOperationException("a sink is never full");
            }

            _writer.Flush();
        }
    }

    private sealed class Sink : DuplexStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => new(0);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => default;

        public override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default) => default;

        public override void Abort(StreamAbort reason)
        {
        }

        public override ValueTask DisposeAsync() => default;
    }
}
