using Shared.Streams.Flushing;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;

namespace Shared.Streams.Tests.Multiplexing;

/// <summary>Which frames leave together, and when.</summary>
public sealed class FrameWriterTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly CountingStream _carrier = new();
    private readonly FrameWriter _writer;
    private readonly Task _running;
    private int _frames = 1;

    public FrameWriterTests()
    {
        _writer = new FrameWriter(_carrier);
        _running = _writer.RunAsync();
    }

    [Fact]
    public void Lone_frame_leaves_at_once()
    {
        Write(100);

        Assert.Equal((1, 100), (_carrier.Writes, PayloadSent));
    }

    [Fact]
    public void Frames_of_a_turn_leave_together_at_its_end()
    {
        var turn = new FlushScope();
        turn.Enter();
        for (var frame = 0; frame < 10; frame++)
        {
            Write(100);
        }

        Assert.Equal(0, _carrier.Writes);
        _frames = 10;
        turn.Leave();

        Assert.Equal((1, 1000), (_carrier.Writes, PayloadSent));
    }

    [Fact]
    public void Turn_within_a_turn_leaves_it_to_the_outer_one()
    {
        var (outer, inner) = (new FlushScope(), new FlushScope());
        outer.Enter();
        inner.Enter();
        Write(100);
        inner.Leave();
        Assert.Equal(0, _carrier.Writes);

        outer.Leave();

        Assert.Equal((1, 100), (_carrier.Writes, PayloadSent));
    }

    [Fact]
    public void Much_does_not_wait_for_the_end_of_the_turn()
    {
        var turn = new FlushScope();
        turn.Enter();
        Write(TunnelProtocol.MaxPayload);

        Assert.Equal((1, TunnelProtocol.MaxPayload), (_carrier.Writes, PayloadSent));
        turn.Leave();
        Assert.Equal(1, _carrier.Writes);
    }

    private long PayloadSent => _carrier.Bytes - (_frames * FrameHeader.Size);

    private void Write(int bytes)
    {
        Assert.True(_writer.TryWriteData(1, new byte[bytes], new InlineSignal(inline: true)));
        _writer.Flush();
    }

    public async ValueTask DisposeAsync()
    {
        _writer.Complete();
        await _running.WaitAsync(Patience);
        await _carrier.DisposeAsync();
    }

    /// <summary>Takes everything at once, and counts it.</summary>
    private sealed class CountingStream : DuplexStream
    {
        public int Writes { get; private set; }

        public long Bytes { get; private set; }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            (Writes, Bytes) = (Writes + 1, Bytes + buffer.Length);
            return ValueTask.CompletedTask;
        }

        public override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

        public override void Abort(StreamAbort reason)
        {
        }

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
