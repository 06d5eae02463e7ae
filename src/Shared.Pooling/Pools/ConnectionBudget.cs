namespace Shared.Pooling.Pools;

/// <summary>
/// How many connections several pools may have together. A pool that needs one when none is left takes the place of a connection
/// that another pool does not use. Safe for concurrent use.
/// </summary>
internal sealed class ConnectionBudget
{
    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(100);

    private readonly Lock _gate = new();
    private readonly List<Member> _members = [];
    private int _taken;

    /// <summary>The most of them; may be changed at any time.</summary>
    public int Limit { get; set; } = int.MaxValue;

    /// <summary>Takes part from now on.</summary>
    /// <param name="evictIdle">Closes an idle connection beyond the minimum and says whether there was one.</param>
    /// <param name="freed">There may be a place now.</param>
    public IDisposable Join(Func<bool> evictIdle, Action freed)
    {
        var member = new Member(this, evictIdle, freed);
        lock (_gate)
        {
            _members.Add(member);
        }

        return member;
    }

    /// <summary>Takes a place. Not to be called under a pool's lock.</summary>
    public bool TryTake()
    {
        lock (_gate)
        {
            if (_taken < Limit)
            {
                _taken++;
                return true;
            }
        }

        // The evicted connection gives its place back when it is closed, and that tells everybody.
        foreach (var member in Snapshot())
        {
            if (member.EvictIdle())
            {
                break;
            }
        }

        lock (_gate)
        {
            return _taken < Limit && ++_taken > 0;
        }
    }

    /// <summary>Takes a place; waits for one. Not to be called under a pool's lock.</summary>
    /// <exception cref="OperationCanceledException">There was none in time.</exception>
    public async Task TakeAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        // A pool whose connection becomes idle tells nobody, so it is looked for.
        using var timer = new PeriodicTimer(RetryInterval, time);
        while (!TryTake())
        {
            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }

    /// <summary>Gives a place back. Not to be called under a pool's lock.</summary>
    public void Give()
    {
        lock (_gate)
        {
            _taken--;
        }

        foreach (var member in Snapshot())
        {
            member.Freed();
        }
    }

    private Member[] Snapshot()
    {
        lock (_gate)
        {
            return [.. _members];
        }
    }

    private sealed class Member(ConnectionBudget budget, Func<bool> evictIdle, Action freed) : IDisposable
    {
        public Func<bool> EvictIdle { get; } = evictIdle;

        public Action Freed { get; } = freed;

        public void Dispose()
        {
            lock (budget._gate)
            {
                budget._members.Remove(this);
            }
        }
    }
}
