using Shared.Streams.Flushing;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;

namespace Shared.Streams.Tests.Multiplexing;

/// <summary>Which frames leave together, and when.</summary>
public sealed class FrameWriterTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly CountingStream _carrier = new();
    private readonly RoomSignal _nobody = new();
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

    [Fact]
    public void Only_those_are_woken_for_whom_there_is_room_in_the_order_in_which_they_came()
    {
        var waiting = Fill(count: 10, TunnelProtocol.MaxPayload);
        Assert.Equal([], Woken(waiting));
        _carrier.Open();
        Assert.Equal([0, 1, 2, 3], Woken(waiting));

        // Room is kept for whoever was woken: nobody who comes now takes it.
        Assert.False(_writer.TryWriteData(1, new byte[1], new RoomSignal()));
        Assert.Equal([0, 1, 2, 3], Woken(waiting));

        // What one leaves is for the next.
        Assert.True(_writer.TryWriteData(1, new byte[1], waiting[1]));
        Assert.Equal([0, 2, 3, 4], Woken(waiting));

        // Whoever gives up passes his turn on, past the one who has given up before.
        _writer.GiveUp(waiting[5]);
        Assert.Equal([0, 2, 3, 4], Woken(waiting));
        _writer.GiveUp(waiting[0]);
        Assert.Equal([2, 3, 4, 6], Woken(waiting));
    }

    [Fact]
    public void All_are_woken_whose_small_frames_find_room()
    {
        var waiting = Fill(count: 1000, bytes: 100);

        _carrier.Open();

        Assert.Equal(1000, Woken(waiting).Count());
        Assert.All(waiting, signal => Assert.True(_writer.TryWriteData(1, new byte[100], signal)));
    }

    [Fact]
    public void Whoever_gives_up_and_comes_again_before_his_turn_has_his_place_once()
    {
        var waiting = Fill(count: 4, TunnelProtocol.MaxPayload);
        _writer.GiveUp(waiting[0]);
        Assert.False(_writer.TryWriteData(1, new byte[TunnelProtocol.MaxPayload], waiting[0]));

        _carrier.Open();
        Assert.Equal([0, 1, 2, 3], Woken(waiting));
        Assert.True(_writer.TryWriteData(1, new byte[TunnelProtocol.MaxPayload], waiting[0]));
        _writer.GiveUp(waiting[1]);
        Assert.Equal([2, 3], Woken(waiting));
    }

    [Fact]
    public void Closed_writer_wakes_all()
    {
        var waiting = Fill(count: 10, TunnelProtocol.MaxPayload);

        _writer.Close();

        Assert.All(waiting, static signal => Assert.True(signal.WaitAsync().AsTask().IsCompleted));
        _carrier.Open();
    }

    /// <summary>The carrier takes nothing, the batch is full, and so many wait for room.</summary>
    private RoomSignal[] Fill(int count, int bytes)
    {
        _carrier.Shut();
        Write(TunnelProtocol.MaxPayload);
        while (_writer.TryWriteData(1, new byte[TunnelProtocol.MaxPayload], _nobody))
        {
        }

        _writer.GiveUp(_nobody);
        var waiting = Enumerable.Range(0, count).Select(static _ => new RoomSignal()).ToArray();
        Assert.All(waiting, signal => Assert.False(_writer.TryWriteData(1, new byte[bytes], signal)));
        return waiting;
    }

    private static IEnumerable<int> Woken(RoomSignal[] waiting) =>
        Enumerable.Range(0, waiting.Length).Where(number => waiting[number].Place == RoomPlace.Promised);

    private long PayloadSent => _carrier.Bytes - (_frames * FrameHeader.Size);

    private void Write(int bytes)
    {
        Assert.True(_writer.TryWriteData(1, new byte[bytes], _nobody));
        _writer.Flush();
    }

    public async ValueTask DisposeAsync()
    {
        _writer.Complete();
        await _running.WaitAsync(Patience);
        await _carrier.DisposeAsync();
    }

    /// <summary>Takes everything at once unless it is shut, and counts it.</summary>
    private sealed class CountingStream : DuplexStream
    {
        private TaskCompletionSource? _shut;

        public int Writes { get; private set; }

        public long Bytes { get; private set; }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            (Writes, Bytes) = (Writes + 1, Bytes + buffer.Length);
            return _shut is null ? ValueTask.CompletedTask : new(_shut.Task);
        }

        public void Shut() => _shut = new TaskCompletionSource();

        public void Open()
        {
            var opened = _shut!;
            _shut = null;
            opened.SetResult();
        }

        public override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

        public override void Abort(StreamAbort reason)
        {
        }

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
