namespace Shared.Streams.Multiplexing;

/// <summary>
/// How much the peer may send on one stream before its bytes are consumed: the bound of what a stream that nobody reads can pile up.
/// It begins small and grows while it is what limits the stream: half of it is consumed within two round trips, by a reader who leaves little
/// waiting. It shrinks again when much is left waiting. A round trip lasts at least until both programs have had their turn on a busy machine,
/// which is what limits a stream where the peer is near. One caller at a time.
/// </summary>
/// <param name="time">The clock of growth.</param>
/// <param name="budget">What all windows of the carrier share for their growth.</param>
internal sealed class ReceiveWindow(TimeProvider time, WindowBudget budget)
{
    /// <summary>What both ends begin with, in bytes.</summary>
    public const int Initial = 256 * 1024;

    /// <summary>What it grows to at the most, in bytes: 16 MiB fill 1 Gbit/s over 125 ms.</summary>
    public const int Largest = 16 * 1024 * 1024;

    /// <summary>What it grows to where only the programs' turns limit a stream, in bytes: more gains nothing there, and piles up between two turns.</summary>
    public const int LargestNear = 1024 * 1024;

    /// <summary>Each step, so that two round trips lead from the first window to the last.</summary>
    private const int Growth = 8;

    /// <summary>What two programs wait for their turns, beside the distance between them.</summary>
    private static readonly TimeSpan Scheduling = TimeSpan.FromMilliseconds(1);

    private int _size = Initial;
    private int _available = Initial;
    private int _consumed;
    private long _lastGrant = time.GetTimestamp();

    /// <summary>Bytes have arrived; false when the peer was not allowed to send them.</summary>
    public bool TryReceive(int count)
    {
        if (count > _available)
        {
            return false;
        }

        _available -= count;
        return true;
    }

    /// <summary>Bytes were consumed.</summary>
    /// <param name="count">How many.</param>
    /// <param name="roundTrip">The carrier's round-trip time.</param>
    /// <returns>The credit to grant to the peer now; mostly 0.</returns>
    public int Consume(int count, TimeSpan roundTrip)
    {
        _consumed += count;
        if (_consumed < _size / 2)
        {
            return 0;
        }

        var now = time.GetTimestamp();
        var grant = _consumed;
        if (!IsLimiting)
        {
            var less = Math.Min(grant / 2, _size - Initial);
            budget.Return(less);
            grant -= less;
            _size -= less;
        }
        else
        {
            var more = Math.Min(_size * Growth, LargestFor(time.GetElapsedTime(_lastGrant, now), roundTrip)) - _size;
            if (more > 0 && budget.TryTake(more))
            {
                grant += more;
                _size += more;
            }
        }

        _lastGrant = now;
        _consumed = 0;
        _available += grant;
        return grant;
    }

    private static int LargestFor(TimeSpan elapsed, TimeSpan roundTrip) =>
        elapsed < roundTrip * 2 ? Largest
        : elapsed < (roundTrip + Scheduling) * 2 ? LargestNear
        : 0;

    /// <summary>False when bytes pile up, because then their reader is slower than their sender, and a larger window would only hold more.</summary>
    private bool IsLimiting => _size - _available - _consumed <= _size / 4;

    /// <summary>The stream is over: nothing is granted any more, and what it grew by is for others.</summary>
    public void Close()
    {
        budget.Return(_size - Initial);
        _size = Initial;
    }
}
