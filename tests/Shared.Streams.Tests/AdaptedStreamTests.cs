using Microsoft.Extensions.Time.Testing;
using Shared.Streams.Memory;

namespace Shared.Streams.Tests;

public sealed class AdaptedStreamTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Stream_that_is_not_needed_any_more_ends_in_order_and_disposal_waits_for_nobody()
    {
        var (first, second) = MemoryDuplexStream.CreatePair();
        Stream adapted = new AdaptedStream(first, leaveOpen: false);
        await adapted.WriteAsync("last words"u8.ToArray(), Cancelled);

        // The synchronous disposal is what an HTTP client calls.
#pragma warning disable CA1849, VSTHRD103
        adapted.Dispose();
#pragma warning restore CA1849, VSTHRD103

        var buffer = new byte[100];
        Assert.Equal("last words".Length, await second.ReadAsync(buffer, Cancelled));
        Assert.Equal(0, await second.ReadAsync(buffer, Cancelled));
        await Assert.ThrowsAnyAsync<IOException>(async () => await adapted.ReadExactlyAsync(buffer, Cancelled));
    }

    [Fact]
    public async Task Stream_that_is_disposed_of_in_the_middle_of_a_write_is_aborted()
    {
        var (first, second) = MemoryDuplexStream.CreatePair(capacity: 1024);
        Stream adapted = new AdaptedStream(first, leaveOpen: false);
        var writing = adapted.WriteAsync(new byte[1_000_000], Cancelled).AsTask();
        Assert.False(writing.IsCompleted);

        await adapted.DisposeAsync();

        await Assert.ThrowsAnyAsync<IOException>(() => writing);
        await Assert.ThrowsAsync<StreamAbortedException>(async () =>
        {
            while (await second.ReadAsync(new byte[100_000], Cancelled) > 0)
            {
            }
        });
    }

    [Fact]
    public async Task Stream_whose_end_nobody_takes_is_aborted_and_disposed_of()
    {
        var time = new FakeTimeProvider();
        var inner = new StuckStream();
        await new AdaptedStream(inner, leaveOpen: false, time).DisposeAsync();
        Assert.False(inner.Disposed.Task.IsCompleted);

        time.Advance(AdaptedStream.EndTimeout);

        await inner.Disposed.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancelled);
        Assert.True(inner.IsAborted);
    }

    [Fact]
    public async Task Stream_that_is_somebody_elses_is_left_open()
    {
        var (first, second) = MemoryDuplexStream.CreatePair();
        await new AdaptedStream(first, leaveOpen: true).DisposeAsync();

        await first.WriteAsync("on"u8.ToArray(), Cancelled);

        Assert.Equal(2, await second.ReadAsync(new byte[10], Cancelled));
    }

    /// <summary>A transport whose peer takes nothing any more.</summary>
    private sealed class StuckStream : DuplexStream
    {
        public TaskCompletionSource Disposed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public bool IsAborted { get; private set; }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public override async ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default) =>
            await new TaskCompletionSource().Task.WaitAsync(cancellationToken);

        public override void Abort(StreamAbort reason) => IsAborted = true;

        public override ValueTask DisposeAsync()
        {
            Disposed.SetResult();
            return ValueTask.CompletedTask;
        }
    }
}
