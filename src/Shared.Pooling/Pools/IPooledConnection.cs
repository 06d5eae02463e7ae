namespace Shared.Pooling.Pools;

/// <summary>What a pool keeps: a connection that is given to one user after another.</summary>
internal interface IPooledConnection : IAsyncDisposable
{
    /// <summary>True once it has ended. May be read by anyone at any time.</summary>
    bool IsBroken { get; }

    /// <summary>Why it may not be given to another user; null when it is clean and idle.</summary>
    string? NotReusable();
}
