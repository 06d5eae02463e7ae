namespace Shared.Pooling.Pools;

/// <summary>A pool at one moment.</summary>
/// <param name="Idle">Connections that are free.</param>
/// <param name="Leased">Connections in use.</param>
/// <param name="Connecting">Connections being opened.</param>
/// <param name="Waiting">Who waits for one.</param>
/// <param name="OldestWait">For how long the first of them has waited.</param>
/// <param name="WaitTotal">How long all have waited, those that are served already.</param>
/// <param name="Opened">Connections opened since the start.</param>
/// <param name="Failed">Attempts to open one that failed, since the start.</param>
/// <param name="State">What it does.</param>
internal readonly record struct PoolCounts(
    int Idle, int Leased, int Connecting, int Waiting, TimeSpan OldestWait, TimeSpan WaitTotal, long Opened, long Failed, PoolState State)
{
    /// <summary>True when it has no connection, and nobody wants one.</summary>
    public bool IsEmpty => Idle + Leased + Connecting + Waiting == 0 && State == PoolState.Active;
}
