namespace Tunnel.Bench.Processes;

/// <summary>A process whose memory and processor time are measured, together with everything it started.</summary>
/// <param name="Name">What it is, for the report.</param>
/// <param name="Id">Its process id.</param>
internal sealed record WatchedProcess(string Name, int Id);
