namespace Shared.Streams.Sockets.Epoll;

/// <summary>
/// One direction of a socket between the loop that hears of it and the one who waits for it. Whoever makes <see cref="State.Awaited"/> end
/// owns the end of the wait: the loop, an abort or a cancellation.
/// </summary>
internal struct Readiness
{
    private int _state;

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
    public bool TryTake() => _state == (int)State.Heard && Move(State.Heard, State.Silent);

    /// <summary>Silent → awaited; false when it was heard meanwhile, so that there is something to look at.</summary>
    public bool TryAwait() => Move(State.Silent, State.Awaited);

    /// <summary>Awaited → silent, for the one who ends the wait.</summary>
    public bool TryEndWait() => Move(State.Awaited, State.Silent);

    /// <summary>The loop heard of it: true when the wait is now the caller's to end, or else it is kept for who looks next.</summary>
    public bool Hear()
    {
        while (true)
        {
            if (TryEndWait())
            {
                return true;
            }

            if (Volatile.Read(ref _state) == (int)State.Heard || Move(State.Silent, State.Heard))
            {
                return false;
            }
        }
    }

    private bool Move(State from, State to) => Interlocked.CompareExchange(ref _state, (int)to, (int)from) == (int)from;
}
