namespace Shared.Pooling.Pools;

/// <summary>How many connections a pool has, and for how long. Immutable.</summary>
public sealed record PoolOptions
{
    /// <summary>So many are kept open even when nobody needs them.</summary>
    public int Min { get; init; }

    /// <summary>At most so many are open.</summary>
    public int Max { get; init; } = 20;

    /// <summary>So many more may be opened once somebody has waited for <see cref="ReserveAfter"/>.</summary>
    public int Reserve { get; init; }

    /// <summary>When the reserve is used.</summary>
    public TimeSpan ReserveAfter { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>So many may wait; further ones are refused at once.</summary>
    public int MaxWaiting { get; init; } = 10_000;

    /// <summary>Who waits longer is refused.</summary>
    public TimeSpan WaitTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>A connection that nobody has used for so long is closed.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>A connection that is so old is closed when it is free; spread by ±10 %, so that they do not close all at once.</summary>
    public TimeSpan Lifetime { get; init; } = TimeSpan.FromHours(1);
}
