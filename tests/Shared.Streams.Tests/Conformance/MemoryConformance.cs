using Shared.Streams.Memory;

namespace Shared.Streams.Tests.Conformance;

public sealed class MemoryConformance : DuplexStreamConformance
{
    protected override Task<StreamPair> ConnectAsync()
    {
        var (left, right) = MemoryDuplexStream.CreatePair();
        return Task.FromResult(new StreamPair(left, right));
    }
}
