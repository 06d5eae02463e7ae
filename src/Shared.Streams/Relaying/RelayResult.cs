namespace Shared.Streams.Relaying;

/// <summary>How a relay ended.</summary>
public enum RelayEnd
{
    /// <summary>Both directions ended in order; every byte was passed on.</summary>
    Completed,

    /// <summary>The application or the target aborted, or was lost.</summary>
    Aborted,

    /// <summary>Our own program cut the stream: drain, revocation, a lost session.</summary>
    Cut,

    /// <summary>After one direction had ended the other was silent for too long.</summary>
    TimedOut,
}

/// <summary>The two ends of a relay.</summary>
public enum RelaySide
{
    /// <summary>The end that leads to the application.</summary>
    Application,

    /// <summary>The end that leads to the target.</summary>
    Target,
}

/// <summary>What a relay did: who ended it, why, and the bytes each way.</summary>
/// <param name="End">How it ended.</param>
/// <param name="EndedBy">Who ended first, or who aborted; null when our own program did.</param>
/// <param name="Reason">The reason of an abort, a cut or a time-out; null for an orderly end.</param>
/// <param name="BytesToTarget">Bytes passed from the application to the target.</param>
/// <param name="BytesToApplication">Bytes passed from the target to the application.</param>
public sealed record RelayResult(RelayEnd End, RelaySide? EndedBy, StreamAbort? Reason, long BytesToTarget, long BytesToApplication);
