namespace Shared.Streams.Sockets.Epoll;

/// <summary>What a socket is ready for, as epoll_ctl(2) numbers it.</summary>
[Flags]
internal enum EpollEvents : uint
{
    None = 0,

    /// <summary>EPOLLIN: bytes, or the end.</summary>
    Readable = 0x1,

    /// <summary>EPOLLPRI: there is an urgent mark in the stream, at which a receive stops.</summary>
    Urgent = 0x2,

    /// <summary>EPOLLOUT: room to write, or a connection that is made.</summary>
    Writable = 0x4,

    /// <summary>EPOLLERR, reported whether asked for or not.</summary>
    Error = 0x8,

    /// <summary>EPOLLHUP, reported whether asked for or not: both directions are over.</summary>
    HangUp = 0x10,

    /// <summary>EPOLLRDHUP: the peer has ended its direction.</summary>
    PeerEnded = 0x2000,

    /// <summary>EPOLLET: told once when it becomes so, not for as long as it is so.</summary>
    EdgeTriggered = 0x8000_0000,
}
