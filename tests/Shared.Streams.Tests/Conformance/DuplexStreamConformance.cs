using System.Security.Cryptography;

namespace Shared.Streams.Tests.Conformance;

/// <summary>
/// What <see cref="DuplexStream"/> promises, asked of every adapter. An adapter's class says how to connect a pair, and switches off
/// what its transport cannot carry.
/// </summary>
public abstract class DuplexStreamConformance : StreamEndings
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>How much is sent where much is asked for.</summary>
    protected virtual int Bulk => 8 * 1024 * 1024;

    /// <summary>One direction may end while the other goes on, from either side.</summary>
    protected virtual bool HalfCloses => true;

    /// <summary>The right end can tell the left one that the stream is leaving.</summary>
    protected virtual bool TellsLeaving => false;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Bytes_arrive_whole_and_in_order_both_ways_at_once_in_chunks_of_any_size()
    {
        await using var pair = await ConnectAsync();

        var hashes = await Task.WhenAll(
            SendRandomAsync(pair.Left, seed: 1), SendRandomAsync(pair.Right, seed: 2), ReceiveAsync(pair.Left, 3), ReceiveAsync(pair.Right, 4)).WaitAsync(Patience, Cancelled);

        Assert.Equal(hashes[0], hashes[3]);
        Assert.Equal(hashes[1], hashes[2]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task After_one_end_the_other_direction_carries_everything(bool leftEndsFirst)
    {
        Assert.SkipUnless(HalfCloses, "this transport cannot half-close");
        await using var pair = await ConnectAsync();
        var (first, second) = leftEndsFirst ? (pair.Left, pair.Right) : (pair.Right, pair.Left);

        await first.WriteAsync("bye"u8.ToArray(), Cancelled);
        await first.CompleteWritesAsync(Cancelled);
        Assert.Equal("bye"u8.ToArray(), await ReadToEndAsync(second));
        var hashes = await Task.WhenAll(SendRandomAsync(second, seed: 5), ReceiveAsync(first, 6)).WaitAsync(Patience, Cancelled);

        Assert.Equal(hashes[0], hashes[1]);
    }

    [Fact]
    public async Task End_is_sticky()
    {
        await using var pair = await ConnectAsync();
        await pair.Left.CompleteWritesAsync(Cancelled);
        await pair.Left.CompleteWritesAsync(Cancelled);

        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(0, await ReadAsync(pair.Right, 16));
            Assert.Equal(0, await ReadAsync(pair.Right, 0));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Abort_fails_the_peers_pending_read_and_our_own(bool leftAborts)
    {
        await using var pair = await ConnectPatientAsync();
        var (aborter, peer) = leftAborts ? (pair.Left, pair.Right) : (pair.Right, pair.Left);
        var own = aborter.ReadAsync(new byte[1], CancellationToken.None).AsTask();
        var remote = peer.ReadAsync(new byte[1], CancellationToken.None).AsTask();

        aborter.Abort(new StreamAbort(AbortCode.Revoked, "by the test"));

        var ours = await Assert.ThrowsAsync<StreamAbortedException>(() => own.WaitAsync(Patience, Cancelled));
        Assert.Equal((AbortCode.Revoked, false), (ours.Reason.Code, ours.ByPeer));
        if (AbortIsNeverAnEnd)
        {
            var theirs = await Assert.ThrowsAsync<StreamAbortedException>(() => remote.WaitAsync(Patience, Cancelled));
            Assert.True(theirs.ByPeer);
            if (CarriesAbortReason)
            {
                Assert.Equal(new StreamAbort(AbortCode.Revoked, "by the test"), theirs.Reason);
            }
        }
        else
        {
            // The transport may tell it or not; either way the peer does not hang.
            await Task.WhenAny(remote).WaitAsync(Patience, Cancelled);
        }
    }

    [Fact]
    public async Task After_an_abort_nothing_works_and_the_first_reason_stays()
    {
        await using var pair = await ConnectAsync();
        pair.Left.Abort(new StreamAbort(AbortCode.Timeout, "first"));
        pair.Left.Abort(new StreamAbort(AbortCode.Shutdown, "second"));

        var read = await Assert.ThrowsAsync<StreamAbortedException>(() => ReadAsync(pair.Left, 1));
        var write = await Assert.ThrowsAsync<StreamAbortedException>(async () => await pair.Left.WriteAsync(new byte[1], Cancelled));
        var end = await Assert.ThrowsAsync<StreamAbortedException>(async () => await pair.Left.CompleteWritesAsync(Cancelled));

        Assert.All([read, write, end], static exception => Assert.Equal("first", exception.Reason.Detail));
    }

    [Fact]
    public async Task Peers_writes_fail_after_an_abort()
    {
        await using var pair = await ConnectAsync();
        pair.Left.Abort(StreamAbort.Reset);

        await Assert.ThrowsAsync<StreamAbortedException>(() => WriteUntilItFailsAsync(pair.Right).WaitAsync(Patience, Cancelled));
    }

    [Fact]
    public async Task Pending_read_can_be_cancelled()
    {
        await using var pair = await ConnectAsync();
        using var cancel = new CancellationTokenSource();
        var read = pair.Left.ReadAsync(new byte[1], cancel.Token).AsTask();
        Assert.False(read.IsCompleted);

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read.WaitAsync(Patience, Cancelled));
    }

    [Fact]
    public async Task Writer_waits_for_a_reader_that_does_not_read_and_can_be_cancelled()
    {
        await using var pair = await ConnectAsync();
        using var cancel = new CancellationTokenSource();
        var written = 0L;
        var chunk = new byte[64 * 1024];
        var writing = Task.Run(async () =>
        {
            while (true)
            {
                await pair.Left.WriteAsync(chunk, cancel.Token);
                Interlocked.Add(ref written, chunk.Length);
            }
        }, Cancelled);

        await UntilSteadyAsync(() => Interlocked.Read(ref written));
        Assert.InRange(Interlocked.Read(ref written), 0, 64L * 1024 * 1024);
        Assert.False(writing.IsCompleted);
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => writing.WaitAsync(Patience, Cancelled));
    }

    [Fact]
    public async Task Read_without_a_buffer_waits_and_takes_nothing()
    {
        await using var pair = await ConnectAsync();
        var waiting = pair.Left.ReadAsync(Memory<byte>.Empty, CancellationToken.None).AsTask();
        Assert.False(waiting.IsCompleted);

        await pair.Right.WriteAsync("data"u8.ToArray(), Cancelled);

        Assert.Equal(0, await waiting.WaitAsync(Patience, Cancelled));
        await pair.Right.CompleteWritesAsync(Cancelled);
        Assert.Equal("data"u8.ToArray(), await ReadToEndAsync(pair.Left));
    }

    [Fact]
    public async Task Empty_write_sends_nothing()
    {
        await using var pair = await ConnectAsync();
        await pair.Left.WriteAsync(ReadOnlyMemory<byte>.Empty, Cancelled);
        await pair.Left.WriteAsync("x"u8.ToArray(), Cancelled);
        await pair.Left.WriteAsync(ReadOnlyMemory<byte>.Empty, Cancelled);
        await pair.Left.CompleteWritesAsync(Cancelled);

        Assert.Equal("x"u8.ToArray(), await ReadToEndAsync(pair.Right));
    }

    [Fact]
    public async Task Write_after_our_end_is_a_programming_error()
    {
        await using var pair = await ConnectAsync();
        await pair.Left.CompleteWritesAsync(Cancelled);

        await Assert.ThrowsAsync<InvalidOperationException>(async () => await pair.Left.WriteAsync(new byte[1], Cancelled));
    }

    [Fact]
    public async Task Dispose_after_our_end_still_delivers_what_was_written()
    {
        await using var pair = await ConnectAsync();
        var data = RandomNumberGenerator.GetBytes(32 * 1024);
        await pair.Left.WriteAsync(data, Cancelled);
        await pair.Left.CompleteWritesAsync(Cancelled);

        await pair.Left.DisposeAsync();

        Assert.Equal(data, await ReadToEndAsync(pair.Right));
    }

    [Fact]
    public async Task Dispose_before_an_end_is_an_abort_and_ends_a_pending_read()
    {
        await using var pair = await ConnectAsync();
        var pending = pair.Left.ReadAsync(new byte[1], CancellationToken.None).AsTask();

        await pair.Left.DisposeAsync();
        await pair.Left.DisposeAsync();

        await Assert.ThrowsAsync<StreamAbortedException>(() => pending.WaitAsync(Patience, Cancelled));
        if (AbortIsNeverAnEnd)
        {
            await Assert.ThrowsAsync<StreamAbortedException>(() => ReadAsync(pair.Right, 1));
        }
    }

    [Fact]
    public async Task Leaving_is_told_where_that_can_be_understood_and_disturbs_nothing_anywhere()
    {
        await using var pair = await ConnectAsync();
        Assert.False(pair.Left.IsLeaving || pair.Right.IsLeaving);

        pair.Left.TellLeaving();
        pair.Right.TellLeaving();

        // Behind it, so that it has been heard.
        await pair.Left.WriteAsync("x"u8.ToArray(), Cancelled);
        await pair.Right.WriteAsync("y"u8.ToArray(), Cancelled);
        Assert.Equal(1, await ReadAsync(pair.Right, 16));
        Assert.Equal(1, await ReadAsync(pair.Left, 16));
        Assert.Equal((TellsLeaving, false), (pair.Left.IsLeaving, pair.Right.IsLeaving));
        await pair.Left.CompleteWritesAsync(Cancelled);
        Assert.Equal(0, await ReadAsync(pair.Right, 16));
        await pair.Right.CompleteWritesAsync(Cancelled);
        Assert.Equal(0, await ReadAsync(pair.Left, 16));
    }

    [Fact]
    public async Task Both_ends_then_both_disposals_are_orderly()
    {
        await using var pair = await ConnectAsync();
        await pair.Left.CompleteWritesAsync(Cancelled);
        Assert.Equal(0, await ReadAsync(pair.Right, 1));
        await pair.Right.CompleteWritesAsync(Cancelled);
        Assert.Equal(0, await ReadAsync(pair.Left, 1));

        await pair.Left.DisposeAsync();
        await pair.Right.DisposeAsync();
    }

    private static async Task<int> ReadAsync(DuplexStream stream, int size) =>
        await stream.ReadAsync(new byte[size], CancellationToken.None).AsTask().WaitAsync(Patience, Cancelled);

    private static async Task<byte[]> ReadToEndAsync(DuplexStream stream)
    {
        var all = new MemoryStream();
        var buffer = new byte[8192];
        while (await stream.ReadAsync(buffer, CancellationToken.None).AsTask().WaitAsync(Patience, Cancelled) is > 0 and var count)
        {
            await all.WriteAsync(buffer.AsMemory(0, count), Cancelled);
        }

        return all.ToArray();
    }

    private async Task<string> SendRandomAsync(DuplexStream stream, int seed)
    {
        var random = new Random(seed);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var data = new byte[1024 * 1024];
        random.NextBytes(data);
        for (var left = Bulk; left > 0;)
        {
            // Sizes from one byte to a mebibyte, each magnitude as likely as the others.
            var size = Math.Min(left, random.Next(1 << random.Next(21)) + 1);
            await stream.WriteAsync(data.AsMemory(0, size), Cancelled);
            hash.AppendData(data.AsSpan(0, size));
            left -= size;
        }

        await stream.CompleteWritesAsync(Cancelled);
        return Convert.ToHexString(hash.GetHashAndReset());
    }

    private static async Task<string> ReceiveAsync(DuplexStream stream, int seed)
    {
        var random = new Random(seed);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[256 * 1024];
        while (true)
        {
            if (random.Next(2) == 0)
            {
                await stream.ReadAsync(Memory<byte>.Empty, Cancelled);
            }

            var count = await stream.ReadAsync(buffer.AsMemory(0, random.Next(1 << random.Next(19)) + 1), Cancelled);
            if (count == 0)
            {
                return Convert.ToHexString(hash.GetHashAndReset());
            }

            hash.AppendData(buffer.AsSpan(0, count));
        }
    }

    private static async Task WriteUntilItFailsAsync(DuplexStream stream)
    {
        while (true)
        {
            await stream.WriteAsync(new byte[16 * 1024], Cancelled);
        }
    }

    /// <summary>Waits until a number has stopped growing.</summary>
    private static async Task UntilSteadyAsync(Func<long> number)
    {
        for (var (last, steady) = (-1L, 0); steady < 5;)
        {
            await Task.Delay(50, Cancelled);
            var now = number();
            (last, steady) = (now, now == last ? steady + 1 : 0);
        }
    }
}
