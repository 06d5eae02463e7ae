namespace Shared.Streams.Tests.Conformance;

public sealed class DataTests
{
    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Random_chunks_both_ways_at_once_arrive_unchanged(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);
        const long Bytes = 6 * Traffic.MiB;

        var writes = Task.WhenAll(pair.Near.WriteRandomAndEndAsync(Bytes, 1), pair.Far.WriteRandomAndEndAsync(Bytes, 2));
        var reads = Task.WhenAll(pair.Near.ReadToEndAsync(3), pair.Far.ReadToEndAsync(4));
        await Task.WhenAll(writes, reads);

        var (written, read) = (await writes, await reads);
        Assert.Equal((written[0], Bytes), read[1]);
        Assert.Equal((written[1], Bytes), read[0]);
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Empty_write_sends_nothing(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);

        await pair.Near.WriteAsync(ReadOnlyMemory<byte>.Empty).InTime();
        await pair.Near.WriteAsync("a"u8.ToArray()).InTime();
        await pair.Near.WriteAsync(ReadOnlyMemory<byte>.Empty).InTime();
        await pair.Near.CompleteWritesAsync().InTime();

        Assert.Equal("a"u8.ToArray(), await pair.Far.ReadBytesAsync(2));
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Empty_read_waits_for_data_and_consumes_nothing(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);
        for (var round = 0; round < 3; round++)
        {
            var waiting = pair.Far.ReadAsync(Memory<byte>.Empty);
            Assert.False(waiting.IsCompleted);

            await pair.Near.WriteAsync("hello"u8.ToArray()).InTime();

            Assert.Equal(0, await waiting.InTime());
            Assert.Equal(0, await pair.Far.ReadAsync(Memory<byte>.Empty).InTime());
            Assert.Equal("hello"u8.ToArray(), await pair.Far.ReadBytesAsync(5));
        }
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Message_larger_than_the_reader_s_buffer_is_kept(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);
        var message = Enumerable.Range(0, 1000).Select(value => (byte)value).ToArray();
        await pair.Near.WriteAsync(message).InTime();

        var read = new List<byte>();
        while (read.Count < message.Length)
        {
            read.AddRange(await pair.Far.ReadBytesAsync(1));
        }

        Assert.Equal(message, read);
    }
}
