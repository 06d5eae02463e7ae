namespace Shared.Streams.Sockets.Epoll;

/// <summary>Whoever wants to know when a socket is ready.</summary>
internal interface IEpollTarget
{
    /// <summary>Set by the loop that watches for it; zero before. Tells it from whoever was in the same place before.</summary>
    ulong Key { get; set; }

    /// <summary>Called by the loop's thread, so it must not block: all other sockets of the loop wait.</summary>
    void OnEvents(EpollEvents events);
}
