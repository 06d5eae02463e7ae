using Shared.Management;

namespace TunnelPooler;

/// <summary>Whether a program takes connections: after it has begun to listen and until it drains. Safe for concurrent use.</summary>
/// <param name="drain">Cancelled when it takes no more.</param>
internal sealed class ListeningState(CancellationToken drain)
{
    private volatile bool _begun;

    /// <summary>All addresses are listened on.</summary>
    public void Begin() => _begun = true;

    /// <summary>How it is now.</summary>
    /// <param name="details">More about it.</param>
    public Readiness Now(string details = "")
    {
        var isDraining = drain.IsCancellationRequested;
        var state = isDraining ? "draining" : _begun ? "ready" : "starting";
        return new Readiness(_begun && !isDraining, details.Length > 0 ? $"{state}: {details}" : state);
    }
}
