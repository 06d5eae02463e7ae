using Shared.Streams.Memory;

namespace Shared.Streams.Tests.Conformance.Adapters;

internal static class MemoryPairs
{
    public static Task<StreamPair> CreateAsync()
    {
        var (first, second) = MemoryDuplexStream.CreatePair();
        return Task.FromResult(new StreamPair(first, second));
    }
}
