namespace Shared.Pooling.Pools;

/// <summary>A connection in its pool's books. Under the pool's lock.</summary>
internal sealed class PoolEntry<TConnection>
{
    public PoolEntry(TConnection connection, long openedAt, TimeSpan lifetime, int generation)
    {
        (Connection, OpenedAt, Lifetime, Generation) = (connection, openedAt, lifetime, generation);
        Node = new LinkedListNode<PoolEntry<TConnection>>(this);
    }

    public TConnection Connection { get; }

    /// <summary>Its place among the idle ones; belongs to no list while it is in use.</summary>
    public LinkedListNode<PoolEntry<TConnection>> Node { get; }

    public long OpenedAt { get; }

    public TimeSpan Lifetime { get; }

    public int Generation { get; }

    public long IdleSince { get; set; }
}
