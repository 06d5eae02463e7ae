using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Shared.Streams.Sockets.Epoll;

/// <summary>The system calls of epoll(7) and connect(2). Linux only.</summary>
internal static unsafe partial class EpollCalls
{
    public const int Add = 1;
    public const int Delete = 2;
    public const int Modify = 3;
    public const int CloseOnExec = 0x80000;

    public const int Interrupted = 4;
    public const int InProgress = 115;

    /// <summary>The size of struct epoll_event, which is packed on x86 alone.</summary>
    public static readonly int EventSize = IsPacked ? 12 : 16;

    private static readonly int DataOffset = IsPacked ? 4 : 8;

    private static bool IsPacked => RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86;

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    public static partial int Create(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    public static partial int Wait(int epoll, byte* events, int capacity, int timeoutMilliseconds);

    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    public static partial int Connect(SafeSocketHandle socket, byte* address, uint length);

    /// <summary>Adds a socket, or changes what is asked about it.</summary>
    /// <exception cref="SocketException">
    /// <see cref="SocketError.NoBufferSpaceAvailable"/>: the system has no memory for it, or as many sockets are watched as it allows
    /// (fs.epoll.max_user_watches).
    /// </exception>
    public static void Control(int epoll, int operation, SafeSocketHandle socket, EpollEvents events, ulong data)
    {
        var description = stackalloc byte[EventSize];
        Unsafe.WriteUnaligned(description, (uint)events);
        Unsafe.WriteUnaligned(description + DataOffset, data);
        if (Control(epoll, operation, socket, description) != 0)
        {
            throw new SocketException(
                (int)SocketError.NoBufferSpaceAvailable, $"epoll_ctl: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
        }
    }

    /// <summary>Reads one of the events that <see cref="Wait"/> has filled in.</summary>
    public static (EpollEvents Events, ulong Data) Read(byte* description) =>
        ((EpollEvents)Unsafe.ReadUnaligned<uint>(description), Unsafe.ReadUnaligned<ulong>(description + DataOffset));

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    private static partial int Control(int epoll, int operation, SafeSocketHandle socket, byte* description);
}
