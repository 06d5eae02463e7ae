namespace Shared.Streams.Tests.Conformance;

public sealed class AbortTests
{
    private static readonly StreamAbort Reason = new(AbortCode.Revoked, "the token was revoked");

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Abort_ends_the_peer_s_pending_read(string name, bool swapped)
    {
        var adapter = StreamAdapter.Of(name);
        await using var pair = await adapter.PairAsync(swapped);
        var reading = pair.Far.ReadAsync(new byte[1]);

        pair.Near.Abort(Reason);

        if (adapter.CarriesAbort)
        {
            var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => reading.InTime());
            Assert.True(abort.ByPeer);
            Assert.Equal(adapter.CarriesReason ? Reason : StreamAbort.Reset, abort.Reason);
            await Assert.ThrowsAsync<StreamAbortedException>(() => pair.Far.ReadAsync(new byte[1]).InTime());
            await Assert.ThrowsAsync<StreamAbortedException>(() => pair.Far.WriteAsync(new byte[1]).InTime());
        }
        else
        {
            Assert.Equal(0, await reading.InTime());
        }
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Abort_ends_the_peer_s_blocked_write(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);
        var (stuck, _) = await pair.Far.FillAsync(64 * Traffic.MiB);
        Assert.False(stuck.IsCompleted);

        pair.Near.Abort(Reason);

        var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => stuck.InTime());
        Assert.True(abort.ByPeer);
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Abort_ends_our_own_pending_read_and_write(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);
        var reading = pair.Near.ReadAsync(new byte[1]);
        var (stuck, _) = await pair.Near.FillAsync(64 * Traffic.MiB);
        Assert.False(stuck.IsCompleted);

        pair.Near.Abort(Reason);
        pair.Near.Abort(new StreamAbort(AbortCode.Shutdown, "too late"));

        foreach (var operation in new[] { () => reading.InTime(), () => stuck.InTime(), () => pair.Near.ReadAsync(new byte[1]).InTime(), () => pair.Near.WriteAsync(new byte[1]).InTime() })
        {
            var abort = await Assert.ThrowsAsync<StreamAbortedException>(operation);
            Assert.False(abort.ByPeer);
            Assert.Equal(Reason, abort.Reason);
        }
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Abort_right_after_a_write_is_never_read_as_an_end(string name, bool swapped)
    {
        var adapter = StreamAdapter.Of(name);
        Assert.SkipUnless(adapter.CarriesAbort, "nothing on this wire tells an abort from an end");
        for (var round = 0; round < 10; round++)
        {
            await using var pair = await adapter.PairAsync(swapped);
            var writing = pair.Near.WriteAsync(new byte[Traffic.MiB]);
            var reading = pair.Far.ReadToEndAsync(round);
            if (round % 2 == 0)
            {
                await writing.InTime();
            }

            pair.Near.Abort(Reason);

            await Assert.ThrowsAsync<StreamAbortedException>(() => reading);
            if (round % 2 != 0)
            {
                await Record.ExceptionAsync(() => writing.InTime());
            }
        }
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Abort_after_both_ends_harms_nobody(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);
        await pair.Near.CompleteWritesAsync().InTime();
        await pair.Far.CompleteWritesAsync().InTime();
        Assert.Equal(0, await pair.Near.ReadAsync(new byte[1]).InTime());
        Assert.Equal(0, await pair.Far.ReadAsync(new byte[1]).InTime());

        await pair.Near.DisposeAsync().InTime();
        pair.Near.Abort(Reason);

        Assert.Equal(0, await pair.Far.ReadAsync(new byte[1]).InTime());
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Cancelled_read_and_write_say_so(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);
        using var cancellation = new CancellationTokenSource();
        var reading = pair.Near.ReadAsync(new byte[1], cancellation.Token);
        var (stuck, _) = await pair.Near.FillAsync(64 * Traffic.MiB, cancellation.Token);
        Assert.False(stuck.IsCompleted);

        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading.InTime());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stuck.InTime());
    }
}
