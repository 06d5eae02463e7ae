namespace Shared.Streams.Tests.Conformance;

/// <summary>The hard half of the conformance suite: ends, aborts and disposals that meet data and pending operations.</summary>
public abstract class StreamEndings
{
    private const int MiB = 1024 * 1024;
    private const int Chunk = 64 * 1024;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly StreamAbort Reason = new(AbortCode.Revoked, "by the test");

    /// <summary>The peer reads the reason of an abort, not only that there was one.</summary>
    protected virtual bool CarriesAbortReason => true;

    /// <summary>An abort is told from an end even when nothing was in flight.</summary>
    protected virtual bool AbortIsNeverAnEnd => true;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task End_while_bytes_come_the_other_way_disturbs_nothing(bool leftEnds)
    {
        for (var round = 0; round < 5; round++)
        {
            await using var pair = await ConnectAsync();
            var (ender, peer) = Sides(pair, leftEnds);
            var writing = WriteAndEndAsync(peer, MiB / 2);
            var reading = CountToEndAsync(ender);
            await ender.CompleteWritesAsync(Cancelled);

            Assert.Equal(0, await ReadAsync(peer));
            Assert.Equal(MiB / 2, await reading);
            await writing;
        }
    }

    [Fact]
    public async Task Both_may_end_at_once()
    {
        await using var pair = await ConnectAsync();

        await Task.WhenAll(pair.Left.CompleteWritesAsync(Cancelled).AsTask(), pair.Right.CompleteWritesAsync(Cancelled).AsTask()).WaitAsync(Patience, Cancelled);

        Assert.Equal(0, await ReadAsync(pair.Left));
        Assert.Equal(0, await ReadAsync(pair.Right));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task End_of_a_peer_that_is_stuck_in_a_write_is_read(bool leftIsStuck)
    {
        await using var pair = await ConnectAsync();
        var (writer, peer) = Sides(pair, leftIsStuck);
        var stuck = await StuckWriter.StartAsync(writer);

        await peer.WriteAsync("bye"u8.ToArray(), Cancelled);
        await peer.CompleteWritesAsync(Cancelled);

        Assert.Equal(3, await CountToEndAsync(writer));
        Assert.False(stuck.Writing.IsCompleted);
        stuck.WriteNoMore();
        var reading = CountToEndAsync(peer);
        await stuck.Writing.WaitAsync(Patience, Cancelled);
        await writer.CompleteWritesAsync(Cancelled);
        Assert.Equal(stuck.Written, await reading);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Abort_ends_our_own_stuck_write(bool leftAborts)
    {
        await using var pair = await ConnectAsync();
        var (aborter, _) = Sides(pair, leftAborts);
        var stuck = await StuckWriter.StartAsync(aborter);

        aborter.Abort(Reason);

        var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => stuck.Writing.WaitAsync(Patience, Cancelled));
        Assert.Equal((Reason, false), (abort.Reason, abort.ByPeer));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Abort_frees_a_peer_that_is_stuck_in_a_write(bool leftAborts)
    {
        await using var pair = await ConnectAsync();
        var (aborter, peer) = Sides(pair, leftAborts);
        var stuck = await StuckWriter.StartAsync(peer);

        aborter.Abort(Reason);

        // A web server may let the write that was stuck succeed; then the next ones tell.
        await Assert.ThrowsAsync<StreamAbortedException>(() => stuck.Writing.WaitAsync(Patience, Cancelled));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Abort_right_after_a_write_is_never_a_clean_short_end(bool leftAborts)
    {
        Assert.SkipUnless(AbortIsNeverAnEnd, "this transport cannot tell an abort from an end");
        for (var round = 0; round < 10; round++)
        {
            await using var pair = await ConnectAsync();
            var (aborter, peer) = Sides(pair, leftAborts);
            var reading = CountToEndAsync(peer);
            var writing = aborter.WriteAsync(new byte[MiB], Cancelled).AsTask();
            if (round % 2 == 0)
            {
                await writing.WaitAsync(Patience, Cancelled);
            }

            aborter.Abort(Reason);

            await Assert.ThrowsAsync<StreamAbortedException>(() => reading);
            if (round % 2 != 0)
            {
                // It may have been done before.
                await Record.ExceptionAsync(() => writing.WaitAsync(Patience, Cancelled));
            }
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Dispose_after_our_end_with_unread_bytes_still_delivers_what_was_written(bool leftDisposes)
    {
        await using var pair = await ConnectAsync();
        var (disposer, peer) = Sides(pair, leftDisposes);

        // Closing on unread bytes is what makes a kernel reset the connection.
        await peer.WriteAsync(new byte[16 * 1024], Cancelled);
        var reading = CountToEndAsync(peer);
        await WriteAndEndAsync(disposer, MiB);
        await disposer.DisposeAsync().AsTask().WaitAsync(Patience, Cancelled);

        Assert.Equal(MiB, await reading);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Dispose_after_our_end_ends_a_pending_read(bool leftDisposes)
    {
        await using var pair = await ConnectAsync();
        var (disposer, peer) = Sides(pair, leftDisposes);
        var pending = disposer.ReadAsync(new byte[1], CancellationToken.None).AsTask();
        await disposer.CompleteWritesAsync(Cancelled);
        Assert.Equal(0, await ReadAsync(peer));

        await disposer.DisposeAsync().AsTask().WaitAsync(Patience, Cancelled);

        var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => pending.WaitAsync(Patience, Cancelled));
        Assert.Equal((AbortCode.Dropped, false), (abort.Reason.Code, abort.ByPeer));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Dispose_before_an_end_tells_both_sides(bool leftDisposes)
    {
        await using var pair = await ConnectPatientAsync();
        var (disposer, peer) = Sides(pair, leftDisposes);
        var pending = disposer.ReadAsync(new byte[1], CancellationToken.None).AsTask();
        var told = CarriesAbortReason ? ReadAsync(peer) : null;

        await disposer.DisposeAsync().AsTask().WaitAsync(Patience, Cancelled);

        foreach (var operation in new[] { () => pending, () => ReadAsync(disposer), () => disposer.WriteAsync(new byte[1], Cancelled).AsTask(), () => disposer.CompleteWritesAsync(Cancelled).AsTask() })
        {
            var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => operation().WaitAsync(Patience, Cancelled));
            Assert.Equal((AbortCode.Dropped, false), (abort.Reason.Code, abort.ByPeer));
        }

        if (told is not null)
        {
            var theirs = await Assert.ThrowsAsync<StreamAbortedException>(() => told);
            Assert.Equal((AbortCode.Dropped, true), (theirs.Reason.Code, theirs.ByPeer));
        }
    }

    [Fact]
    public async Task Abort_after_disposal_changes_nothing()
    {
        await using var pair = await ConnectAsync();
        await pair.Left.WriteAsync(new byte[1], Cancelled);
        await pair.Left.CompleteWritesAsync(Cancelled);
        await pair.Right.CompleteWritesAsync(Cancelled);
        Assert.Equal(0, await ReadAsync(pair.Left));
        await pair.Left.DisposeAsync();

        pair.Left.Abort(Reason);

        Assert.Equal(1, await CountToEndAsync(pair.Right));
        Assert.Equal(0, await ReadAsync(pair.Left));
    }

    /// <summary>Connects a fresh pair.</summary>
    protected abstract Task<StreamPair> ConnectAsync();

    /// <summary>Connects a pair whose last words are not cut short when the peer takes its time to read them, for tests in which it does read.</summary>
    protected virtual Task<StreamPair> ConnectPatientAsync() => ConnectAsync();

    private static (DuplexStream First, DuplexStream Second) Sides(StreamPair pair, bool leftFirst) =>
        leftFirst ? (pair.Left, pair.Right) : (pair.Right, pair.Left);

    private static Task<int> ReadAsync(DuplexStream stream) =>
        stream.ReadAsync(new byte[1], CancellationToken.None).AsTask().WaitAsync(Patience, Cancelled);

    private static async Task<long> CountToEndAsync(DuplexStream stream)
    {
        var buffer = new byte[Chunk];
        var bytes = 0L;
        while (await stream.ReadAsync(buffer, Cancelled).AsTask().WaitAsync(Patience, Cancelled) is > 0 and var count)
        {
            bytes += count;
        }

        return bytes;
    }

    private static async Task WriteAndEndAsync(DuplexStream stream, int bytes)
    {
        for (var left = bytes; left > 0; left -= Math.Min(left, 10_000))
        {
            await stream.WriteAsync(new byte[Math.Min(left, 10_000)], Cancelled).AsTask().WaitAsync(Patience, Cancelled);
        }

        await stream.CompleteWritesAsync(Cancelled);
    }
}
