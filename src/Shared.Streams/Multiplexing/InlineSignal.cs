using System.Threading.Tasks.Sources;

namespace Shared.Streams.Multiplexing;

/// <summary>
/// Wakes one waiter without allocating; a signal that nobody waits for is kept for the next wait, and several of them are one.
/// Any number of signallers, one waiter at a time.
/// </summary>
/// <param name="inline">
/// True: the waiter goes on within <see cref="Set"/>, on the signaller's thread, which is for waiters that do little.
/// False: it goes on in the thread pool.
/// </param>
internal class InlineSignal(bool inline) : IValueTaskSource
{
    private const int Idle = 0;
    private const int Pending = 1;
    private const int Waiting = 2;

    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = !inline };
    private int _state;

    /// <summary>Completes with the next signal, or at once when there was one.</summary>
    public ValueTask WaitAsync()
    {
        _core.Reset();
        switch (Interlocked.CompareExchange(ref _state, Waiting, Idle))
        {
            case Idle:
                return new ValueTask(this, _core.Version);
            case Pending:
                // A full fence: what the waiter looks at next must not have been read before this.
                Interlocked.Exchange(ref _state, Idle);
                return ValueTask.CompletedTask;
            default:
                throw new InvalidOperationException("Somebody waits already.");
        }
    }

    /// <summary>Wakes the waiter, now or when it next waits.</summary>
    public void Set()
    {
        while (true)
        {
            switch (Volatile.Read(ref _state))
            {
                case Waiting when Interlocked.CompareExchange(ref _state, Idle, Waiting) == Waiting:
                    _core.SetResult(true);
                    return;
                case Idle when Interlocked.CompareExchange(ref _state, Pending, Idle) == Idle:
                case Pending:
                    return;
                default:
                    break;
            }
        }
    }

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
