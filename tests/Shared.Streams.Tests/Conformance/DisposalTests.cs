namespace Shared.Streams.Tests.Conformance;

public sealed class DisposalTests
{
    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Disposal_before_the_end_aborts(string name, bool swapped)
    {
        var adapter = StreamAdapter.Of(name);
        await using var pair = await adapter.PairAsync(swapped);
        await pair.Near.WriteAsync(new byte[1]).InTime();
        Assert.Equal(1, await pair.Far.ReadAsync(new byte[10]).InTime());

        await pair.Near.DisposeAsync().InTime();

        if (adapter.CarriesAbort)
        {
            var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => pair.Far.ReadAsync(new byte[1]).InTime());
            Assert.Equal(adapter.CarriesReason ? AbortCode.Dropped : AbortCode.Reset, abort.Reason.Code);
        }
        else
        {
            Assert.Equal(0, await pair.Far.ReadAsync(new byte[1]).InTime());
        }
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Disposal_after_the_own_end_still_delivers_what_was_written(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);

        // Unread bytes at the end that closes are what turns a careless close into a reset.
        await pair.Far.WriteAsync(new byte[16 * Traffic.KiB]).InTime();
        var writing = pair.Near.WriteRandomAndEndAsync(Traffic.MiB, 1);
        var reading = pair.Far.ReadToEndAsync();
        var digest = await writing;
        await pair.Near.DisposeAsync().InTime();

        Assert.Equal((digest, Traffic.MiB), await reading);
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Disposal_ends_a_pending_read(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);
        var reading = pair.Near.ReadAsync(new byte[1]);

        await pair.Near.DisposeAsync().InTime();

        var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => reading.InTime());
        Assert.False(abort.ByPeer);
        Assert.Equal(AbortCode.Dropped, abort.Reason.Code);
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Disposal_after_the_own_end_ends_a_pending_read(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);
        var reading = pair.Near.ReadAsync(new byte[1]);
        await pair.Near.CompleteWritesAsync().InTime();

        await pair.Near.DisposeAsync().InTime();

        var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => reading.InTime());
        Assert.False(abort.ByPeer);
        Assert.Equal(0, await pair.Far.ReadAsync(new byte[1]).InTime());
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Operations_after_disposal_say_that_the_stream_was_dropped(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);

        await pair.Near.DisposeAsync().InTime();
        await pair.Near.DisposeAsync().InTime();

        foreach (var operation in new[] { () => pair.Near.ReadAsync(new byte[1]).InTime(), () => pair.Near.WriteAsync(new byte[1]).InTime(), () => pair.Near.CompleteWritesAsync().InTime() })
        {
            var abort = await Assert.ThrowsAsync<StreamAbortedException>(operation);
            Assert.Equal((AbortCode.Dropped, false), (abort.Reason.Code, abort.ByPeer));
        }
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Disposal_after_an_abort_is_quiet(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);
        pair.Near.Abort(StreamAbort.Reset);
        await pair.Near.DisposeAsync().InTime();
        await pair.Far.DisposeAsync().InTime();
        await pair.Far.DisposeAsync().InTime();
    }
}
