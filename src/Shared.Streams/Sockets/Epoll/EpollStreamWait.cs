namespace Shared.Streams.Sockets.Epoll;

/// <summary>What one direction of a stream waits for.</summary>
/// <typeparam name="T">What comes of it.</typeparam>
internal abstract class EpollStreamWait<T>(EpollSocketStream stream) : EpollWait<T>
{
    protected EpollSocketStream Stream { get; } = stream;

    protected sealed override bool IsAborted => Stream.IsAborted;

    protected sealed override Exception Translate(Exception exception) => Stream.Translate(exception);
}
