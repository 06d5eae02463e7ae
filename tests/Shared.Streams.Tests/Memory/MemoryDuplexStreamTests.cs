using Shared.Streams.Memory;

namespace Shared.Streams.Tests.Memory;

public sealed class MemoryDuplexStreamTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_huge_write_holds_no_more_than_the_capacity_and_a_piece()
    {
        const int Capacity = 32 * 1024;
        const int Piece = 16 * 1024;
        var (first, second) = MemoryDuplexStream.CreatePair(Capacity);
        var writing = first.WriteAsync(new byte[1024 * 1024], Cancelled).AsTask();
        Assert.False(writing.IsCompleted);

        var count = await second.ReadAsync(new byte[1024 * 1024], Cancelled);

        Assert.InRange(count, 1, Capacity + Piece);
        first.Abort(StreamAbort.Reset);
        await Assert.ThrowsAsync<StreamAbortedException>(() => writing);
    }

    [Fact]
    public async Task Write_to_an_end_that_was_disposed_after_its_own_end_fails_and_what_it_wrote_stays_readable()
    {
        var (first, second) = MemoryDuplexStream.CreatePair();
        await first.WriteAsync(new byte[3], Cancelled);
        await first.CompleteWritesAsync(Cancelled);
        await first.DisposeAsync();

        var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => second.WriteAsync(new byte[1], Cancelled).AsTask());

        Assert.True(abort.ByPeer);
        Assert.Equal(3, await second.ReadAsync(new byte[10], Cancelled));
        Assert.Equal(0, await second.ReadAsync(new byte[10], Cancelled));
    }
}
