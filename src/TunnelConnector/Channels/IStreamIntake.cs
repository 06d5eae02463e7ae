namespace TunnelConnector.Channels;

/// <summary>
/// The way in which an ingress hands its streams to this connector for one session: parked channels of one stream each, or carriers
/// that many share. Safe for concurrent use.
/// </summary>
internal interface IStreamIntake : IAsyncDisposable
{
    /// <summary>Fails when something unexpected happened while it dialled; the session must end then. A stream's faults are its own.</summary>
    Task Fault { get; }

    /// <summary>Starts dialling.</summary>
    void Start();

    /// <summary>The ingress waits for this many channels beyond those it has.</summary>
    void OnDemand(int channels);

    /// <summary>Dials no more; what the ingress has already asked for is still served.</summary>
    void Drain();

    /// <summary>Waits, after <see cref="Drain"/>, until the last stream has ended and the ingress has closed what is idle.</summary>
    Task WhenDrainedAsync(CancellationToken cancellationToken);
}
