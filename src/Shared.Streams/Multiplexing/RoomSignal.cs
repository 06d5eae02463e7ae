namespace Shared.Streams.Multiplexing;

/// <summary>Where somebody is in the queue for room in a carrier's batch.</summary>
internal enum RoomPlace
{
    /// <summary>Not in it.</summary>
    None,

    /// <summary>In it.</summary>
    Waits,

    /// <summary>Still in it, but not to be woken: he has given up, and gets his place back if he returns before his turn.</summary>
    Left,

    /// <summary>Out of it and woken, and the room is kept for him.</summary>
    Promised,
}

/// <summary>
/// Wakes a stream's writer: for credit, for an abort, or because there is room in the carrier's batch. For the latter it has a place in the
/// queue of <see cref="FrameWriter"/>, under whose lock its properties are.
/// </summary>
internal sealed class RoomSignal() : InlineSignal(inline: false)
{
    /// <summary>Its place in the queue.</summary>
    public RoomPlace Place { get; set; }

    /// <summary>How many bytes it waits for.</summary>
    public int Wanted { get; set; }
}
