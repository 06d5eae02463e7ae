namespace Shared.Streams.Tests.Conformance;

public sealed class EndingTests
{
    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task End_follows_all_data_and_is_sticky(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);

        var writing = pair.Near.WriteRandomAndEndAsync(2 * Traffic.MiB, 1);
        var (digest, bytes) = await pair.Far.ReadToEndAsync();

        Assert.Equal(2 * Traffic.MiB, bytes);
        Assert.Equal(await writing, digest);
        for (var round = 0; round < 3; round++)
        {
            Assert.Equal(0, await pair.Far.ReadAsync(new byte[10]).InTime());
            Assert.Equal(0, await pair.Far.ReadAsync(Memory<byte>.Empty).InTime());
        }
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Data_sent_after_the_peer_s_end_arrives_whole(string name, bool swapped)
    {
        var adapter = StreamAdapter.Of(name);
        await using var pair = await adapter.PairAsync(swapped);
        await pair.Near.WriteAsync("request"u8.ToArray()).InTime();
        await pair.Near.CompleteWritesAsync().InTime();
        Assert.Equal("request"u8.ToArray(), await pair.Far.ReadBytesAsync(100));

        var writing = pair.Far.WriteRandomAndEndAsync(adapter.LargeTransfer, 1);
        var (digest, bytes) = await pair.Near.ReadToEndAsync();

        Assert.Equal(adapter.LargeTransfer, bytes);
        Assert.Equal(await writing, digest);
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task End_while_data_comes_the_other_way_disturbs_nothing(string name, bool swapped)
    {
        for (var round = 0; round < 10; round++)
        {
            await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);
            var writing = pair.Far.WriteRandomAndEndAsync(512 * Traffic.KiB, round);
            var reading = pair.Near.ReadToEndAsync(round);
            await pair.Near.CompleteWritesAsync().InTime();

            Assert.Equal(0, await pair.Far.ReadAsync(new byte[1]).InTime());
            Assert.Equal((await writing, 512 * Traffic.KiB), await reading);
        }
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Both_ends_at_once_are_read_by_both(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);

        await Task.WhenAll(pair.Near.CompleteWritesAsync().AsTask(), pair.Far.CompleteWritesAsync().AsTask()).InTime();

        Assert.Equal(0, await pair.Near.ReadAsync(new byte[1]).InTime());
        Assert.Equal(0, await pair.Far.ReadAsync(new byte[1]).InTime());
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task End_wakes_an_empty_read(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);
        var waiting = pair.Far.ReadAsync(Memory<byte>.Empty);

        await pair.Near.CompleteWritesAsync().InTime();

        Assert.Equal(0, await waiting.InTime());
        Assert.Equal(0, await pair.Far.ReadAsync(new byte[1]).InTime());
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Write_after_the_own_end_is_refused_and_a_second_end_does_nothing(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);
        await pair.Near.CompleteWritesAsync().InTime();
        await pair.Near.CompleteWritesAsync().InTime();

        await Assert.ThrowsAsync<InvalidOperationException>(() => pair.Near.WriteAsync(new byte[1]).AsTask());

        await pair.Far.WriteAsync(new byte[1]).InTime();
        Assert.Equal(1, await pair.Near.ReadAsync(new byte[2]).InTime());
    }
}
