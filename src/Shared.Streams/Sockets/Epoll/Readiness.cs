namespace Shared.Streams.Sockets.Epoll;

/// <summary>
/// One direction of a socket between the loop that hears of it and the one who waits for it. Whoever makes <see cref="State.Awaited"/> end
/// owns the end of the wait: the loop, an abort or a cancellation. Each wait has a number, so that nobody ends another than he means.
/// </summary>
internal struct Readiness
{
    private const int NumberShift = 2;
    private const long StateMask = (1 << NumberShift) - 1;

    private long _value;

    private enum State
    {
        /// <summary>Nothing was heard since it was last looked at.</summary>
        Silent,

        /// <summary>It was heard that the socket is ready, and nobody has looked yet.</summary>
        Heard,

        /// <summary>Somebody waits to hear of it.</summary>
        Awaited,
    }

    /// <summary>Heard → silent. Told to who is about to look.</summary>
    public bool TryTake()
    {
        var value = Volatile.Read(ref _value);
        return StateOf(value) == State.Heard && Move(value, State.Silent);
    }

    /// <summary>Silent → awaited; false when it was heard meanwhile, so that there is something to look at.</summary>
    /// <param name="number">The wait's.</param>
    public bool TryAwait(long number)
    {
        var value = Volatile.Read(ref _value);
        return StateOf(value) == State.Silent
            && Interlocked.CompareExchange(ref _value, (number << NumberShift) | (long)State.Awaited, value) == value;
    }

    /// <summary>Awaited → silent, for who ends the wait from outside.</summary>
    /// <param name="number">The wait's.</param>
    public bool TryEndWait(long number) => Move((number << NumberShift) | (long)State.Awaited, State.Silent);

    /// <summary>The loop heard of it: true when the wait is now the caller's to end, or else it is kept for who looks next.</summary>
    public bool Hear()
    {
        while (true)
        {
            var value = Volatile.Read(ref _value);
            switch (StateOf(value))
            {
                case State.Awaited when Move(value, State.Silent):
                    return true;
                case State.Silent when Move(value, State.Heard):
                case State.Heard:
                    return false;
                default:
                    break;
            }
        }
    }

    private static State StateOf(long value) => (State)(value & StateMask);

    private bool Move(long from, State to) => Interlocked.CompareExchange(ref _value, (from & ~StateMask) | (long)to, from) == from;
}
