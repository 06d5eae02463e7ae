using Shared.Streams.Sockets.Epoll;

namespace Shared.Streams.Sockets;

/// <summary>The threads of this process that wait for its sockets, on systems with epoll.</summary>
public static class SocketLoops
{
    private static int _count = Math.Max(1, Environment.ProcessorCount / 2);

    /// <summary>
    /// How many there are, from 1 on. Half of the processors without a setting: streams that share carriers share records and system calls too
    /// when one thread hears of them together, and TLS handshakes and the kernel want processors as well. Set at the start of a program.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">None, or a negative number.</exception>
    /// <exception cref="InvalidOperationException">Sockets are waited for already.</exception>
    public static int Count
    {
        get => Volatile.Read(ref _count);
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            if (EpollLoop.HaveStarted)
            {
                throw new InvalidOperationException("Sockets are waited for already.");
            }

            Volatile.Write(ref _count, value);
        }
    }
}
