namespace Shared.Streams.Flushing;

/// <summary>Has something to send that may wait for the end of a <see cref="FlushScope"/>.</summary>
internal interface IFlushable
{
    /// <summary>Sends it.</summary>
    void Flush();
}
