using System.Buffers;

namespace Shared.Streams.Relaying;

/// <summary>How a relay behaves.</summary>
public sealed record RelayOptions
{
    /// <summary>
    /// How long, after one direction has ended, the other may move no byte before the stream is cut. Silence alone is never cut.
    /// </summary>
    public TimeSpan HalfCloseTimeout { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>Where buffers come from while bytes flow.</summary>
    internal ArrayPool<byte> Buffers { get; init; } = ArrayPool<byte>.Shared;
}
