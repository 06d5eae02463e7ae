namespace Shared.Pooling.Pools;

/// <summary>What a pool keeps: a connection that is given to one user after another.</summary>
internal interface IPooledConnection : IAsyncDisposable
{
    /// <summary>True once it has ended. May be read by anyone at any time.</summary>
    bool IsBroken { get; }

    /// <summary>
    /// True once something on its way is shutting down and waits for it: it is used up, and given to nobody any more. May be read by anyone at any time.
    /// </summary>
    bool IsLeaving { get; }

    /// <summary>Why it may not be given to another user; null when it is clean and idle.</summary>
    string? NotReusable();
}
