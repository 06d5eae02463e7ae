using Shared.Streams.Memory;

namespace Shared.Streams.Tests.Conformance;

/// <summary>A stream whose first bytes <see cref="EarlyData"/> went on waiting for when somebody else took it over.</summary>
public sealed class EarlyConformance : DuplexStreamConformance
{
    protected override async Task<StreamPair> ConnectAsync()
    {
        var (left, right) = MemoryDuplexStream.CreatePair();
        return new StreamPair(await AwaitedAsync(left), await AwaitedAsync(right));
    }

    private static async Task<DuplexStream> AwaitedAsync(DuplexStream stream)
    {
        var early = new EarlyData(stream);
        early.Start(MemoryDuplexStream.CreatePair().First);
        early.Stop();
        await early.Finished;
        var rest = early.Rest();
        Assert.NotSame(stream, rest);
        return rest;
    }
}
