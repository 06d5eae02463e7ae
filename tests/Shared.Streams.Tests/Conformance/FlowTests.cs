namespace Shared.Streams.Tests.Conformance;

public sealed class FlowTests
{
    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Writer_stops_when_nobody_reads_and_goes_on_when_somebody_does(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);

        var (stuck, bytes) = await pair.Near.FillAsync(64 * Traffic.MiB);
        Assert.False(stuck.IsCompleted);

        var reading = pair.Far.ReadToEndAsync();
        await stuck.InTime();
        await pair.Near.CompleteWritesAsync().InTime();
        Assert.Equal(bytes + (64 * Traffic.KiB), (await reading).Bytes);
    }

    [Theory]
    [MemberData(nameof(StreamAdapter.Names), MemberType = typeof(StreamAdapter))]
    public async Task Reading_goes_on_while_the_own_write_is_stuck(string name, bool swapped)
    {
        await using var pair = await StreamAdapter.Of(name).PairAsync(swapped);
        var (stuck, _) = await pair.Near.FillAsync(64 * Traffic.MiB);
        Assert.False(stuck.IsCompleted);

        var writing = pair.Far.WriteRandomAndEndAsync(Traffic.MiB, 1);
        var (digest, _) = await pair.Near.ReadToEndAsync();

        Assert.Equal(await writing, digest);
        Assert.False(stuck.IsCompleted);
        pair.Near.Abort(StreamAbort.Reset);
        await Assert.ThrowsAsync<StreamAbortedException>(() => stuck.InTime());
    }
}
