namespace Shared.Streams.Relaying;

/// <summary>
/// Carries bytes between two streams until both directions have ended, exactly: an end follows all bytes before it and stops one
/// direction only, an abort of one side becomes an abort of the other with the same reason.
/// </summary>
/// <remarks>
/// Two pumps run, one per direction:
/// wait for data without a buffer → rent one → read → write → give the buffer back while nothing waits.
/// So an idle stream holds no buffer, and a busy one at most 64 KiB per direction; a slow reader slows the writer down.
/// </remarks>
public static class Relay
{
    /// <summary>Runs until both directions have ended; takes over and disposes both streams.</summary>
    /// <param name="application">The stream that leads to the application.</param>
    /// <param name="target">The stream that leads to the target.</param>
    /// <param name="options">Limits.</param>
    /// <param name="time">The clock of the half-close limit.</param>
    /// <returns>How it ended. Expected endings are results, not exceptions. To cut a relay, abort both streams.</returns>
    public static Task<RelayResult> RunAsync(DuplexStream application, DuplexStream target, RelayOptions options, TimeProvider time) =>
        new RelayRun(application, target, options, time).RunAsync();
}
