namespace Shared.Streams.Multiplexing;

/// <summary>
/// A carrier was lost, full, or drained by its other end before that had seen a new stream: nothing of it has happened, and it may be opened
/// on another carrier, with the bytes that were written to it.
/// </summary>
public sealed class StreamNotTakenException() : IOException("the carrier takes no more streams");
