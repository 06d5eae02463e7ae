namespace Shared.Pooling.Pools;

/// <summary>What a pool does with those who ask for a connection.</summary>
internal enum PoolState
{
    /// <summary>Serves them.</summary>
    Active,

    /// <summary>Lets them wait until it is resumed.</summary>
    Paused,

    /// <summary>Refuses them.</summary>
    Closed,
}
