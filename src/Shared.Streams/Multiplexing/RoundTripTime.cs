namespace Shared.Streams.Multiplexing;

/// <summary>
/// How far away the peer is: the shortest of the last pings, because what a ping waits for in queues is no distance. One caller of
/// <see cref="Add"/>, any number of readers.
/// </summary>
internal sealed class RoundTripTime
{
    private const int Remembered = 8;

    private readonly long[] _ticks = new long[Remembered];
    private long _shortest;
    private int _count;

    /// <summary>Zero before the first ping.</summary>
    public TimeSpan Shortest => new(Volatile.Read(ref _shortest));

    /// <summary>A ping was answered after so long.</summary>
    public void Add(TimeSpan sample)
    {
        _ticks[_count % Remembered] = sample.Ticks;
        _count = _count + 1 < Remembered * 2 ? _count + 1 : Remembered;
        var shortest = sample.Ticks;
        foreach (var ticks in _ticks.AsSpan(0, Math.Min(_count, Remembered)))
        {
            shortest = Math.Min(shortest, ticks);
        }

        Volatile.Write(ref _shortest, shortest);
    }
}
