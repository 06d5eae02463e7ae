using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Shared.Streams.Flushing;

namespace Shared.Streams.Sockets.Epoll;

/// <summary>
/// One thread that learns from the kernel which sockets are ready, and runs there and then whatever waits for them. What a turn of the loop
/// writes to a carrier leaves together at the end of the turn: so the busier the process is, the more frames share a record and a system
/// call, and a lone one never waits. Safe for concurrent use; lives as long as the process.
/// </summary>
/// <remarks>
/// The runtime's own loop tells no one when a turn ends, and reads a socket once more after each message to be told that it is empty.
/// bench/README.md has the figures.
/// </remarks>
internal sealed class EpollLoop
{
    /// <summary>The most sockets of one turn.</summary>
    private const int EventsInATurn = 64;

    /// <summary>A key is a serial number and, in so many bits, the place in the table.</summary>
    private const int SlotBits = 24;

    private const int SlotMask = (1 << SlotBits) - 1;

    private static readonly Lock Starting = new();
    private static EpollLoop[]? _loops;
    private static uint _next;

    [ThreadStatic]
    private static EpollLoop? _current;

    private readonly int _epoll;
    private readonly Lock _gate = new();
    private readonly Stack<int> _free = new();
    private readonly FlushScope _scope = new();
    private volatile IEpollTarget?[] _targets = new IEpollTarget?[64];
    private int _used;
    private ulong _serial;

    private EpollLoop(int epoll) => _epoll = epoll;

    /// <summary>How many targets all loops watch, so that a test sees that none is forgotten.</summary>
    internal static int Watched => (Volatile.Read(ref _loops) ?? []).Sum(static loop => loop.Targets);

    private int Targets
    {
        get
        {
            lock (_gate)
            {
                return _used - _free.Count;
            }
        }
    }

    /// <summary>Whether there are loops already.</summary>
    public static bool HaveStarted => Volatile.Read(ref _loops) is not null;

    /// <summary>Whether this system has epoll.</summary>
    public static bool IsSupported => OperatingSystem.IsLinux();

    /// <summary>
    /// The loop for a new socket: that of the calling thread, since whoever dials on behalf of a socket will talk to it, or else the next in turn.
    /// </summary>
    public static EpollLoop ForNewSocket() => _current ?? NextInTurn();

    /// <summary>The loop whose turn it is.</summary>
    public static EpollLoop NextInTurn()
    {
        var loops = Volatile.Read(ref _loops) ?? Start();
        return loops[Interlocked.Increment(ref _next) % (uint)loops.Length];
    }

    /// <summary>
    /// Begins to watch a socket, or changes what is watched; what it is ready for already is told at once. Whoever closes the socket calls
    /// <see cref="Forget"/> afterwards. Not concurrently for one target.
    /// </summary>
    /// <exception cref="SocketException">The system has no memory for it, or as many sockets are watched as it allows.</exception>
    /// <exception cref="ObjectDisposedException">The socket is closed.</exception>
    public void Watch(IEpollTarget target, SafeSocketHandle socket, EpollEvents events)
    {
        var isNew = target.Key == 0;
        if (isNew)
        {
            Remember(target);
        }

        try
        {
            EpollCalls.Control(_epoll, isNew ? EpollCalls.Add : EpollCalls.Modify, socket, events | EpollEvents.EdgeTriggered, target.Key);
        }
        catch when (isNew)
        {
            Forget(target);
            throw;
        }
    }

    /// <summary>Stops to watch a socket that stays open.</summary>
    /// <inheritdoc cref="Watch" path="/exception"/>
    public void Release(IEpollTarget target, SafeSocketHandle socket)
    {
        EpollCalls.Control(_epoll, EpollCalls.Delete, socket, EpollEvents.None, 0);
        Forget(target);
    }

    /// <summary>Tells a target nothing more, other than what is being told it now. The kernel forgets a socket when it is closed.</summary>
    public void Forget(IEpollTarget target)
    {
        lock (_gate)
        {
            if (target.Key == 0)
            {
                return;
            }

            var slot = (int)(target.Key & SlotMask);
            _targets[slot] = null;
            _free.Push(slot);
            target.Key = 0;
        }
    }

    // Not by a Lazy, which would keep a failure for want of file descriptors for ever.
    private static EpollLoop[] Start()
    {
        lock (Starting)
        {
            if (_loops is null)
            {
                var loops = new EpollLoop[SocketLoops.Count];
                for (var number = 0; number < loops.Length; number++)
                {
                    loops[number] = new EpollLoop(Create(loops.AsSpan(0, number)));
                }

                for (var number = 0; number < loops.Length; number++)
                {
                    new Thread(loops[number].Run) { IsBackground = true, Name = $"sockets {number}" }.Start();
                }

                Volatile.Write(ref _loops, loops);
            }

            return _loops;
        }
    }

    /// <exception cref="SocketException">There is no file descriptor left; those before it are given back.</exception>
    private static int Create(ReadOnlySpan<EpollLoop> before)
    {
        var epoll = EpollCalls.Create(EpollCalls.CloseOnExec);
        if (epoll >= 0)
        {
            return epoll;
        }

        var message = $"epoll_create1: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}";
        foreach (var loop in before)
        {
            new SafeFileHandle(loop._epoll, ownsHandle: true).Dispose();
        }

        throw new SocketException((int)SocketError.TooManyOpenSockets, message);
    }

    private void Remember(IEpollTarget target)
    {
        lock (_gate)
        {
            if (!_free.TryPop(out var slot))
            {
                slot = _used++;
                if (slot == _targets.Length)
                {
                    var larger = new IEpollTarget?[slot * 2];
                    _targets.CopyTo(larger, 0);
                    _targets = larger;
                }
            }

            target.Key = (++_serial << SlotBits) | (uint)slot;
            _targets[slot] = target;
        }
    }

    private unsafe void Run()
    {
        _current = this;
        var events = stackalloc byte[EventsInATurn * EpollCalls.EventSize];
        while (true)
        {
            var count = EpollCalls.Wait(_epoll, events, EventsInATurn, timeoutMilliseconds: -1);
            if (count < 0 && Marshal.GetLastPInvokeError() is var error and not EpollCalls.Interrupted)
            {
                // It can only be a fault of ours, and no socket would ever be heard of again.
                Environment.FailFast($"epoll_wait: {Marshal.GetPInvokeErrorMessage(error)}");
            }

            _scope.Enter();
            for (var index = 0; index < count; index++)
            {
                var (ready, key) = EpollCalls.Read(events + (index * EpollCalls.EventSize));
                if (_targets[key & SlotMask] is { } target && target.Key == key)
                {
                    target.OnEvents(ready);
                }
            }

            _scope.Leave();
        }
    }
}
