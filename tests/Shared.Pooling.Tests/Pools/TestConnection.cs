using Shared.Pooling.Pools;

namespace Shared.Pooling.Tests.Pools;

/// <summary>A connection to nothing, as clean or as leaving as a test says.</summary>
internal sealed class TestConnection : IPooledConnection
{
    public int Users;

    public string? Dirt { get; set; }

    public TaskCompletionSource Closed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public bool IsBroken => false;

    public bool IsLeaving { get; set; }

    public string? NotReusable() => Dirt;

    public ValueTask DisposeAsync()
    {
        Closed.TrySetResult();
        return ValueTask.CompletedTask;
    }
}
