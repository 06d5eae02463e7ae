using System.Buffers;

namespace Shared.Streams;

/// <summary>
/// What an application says while its target is still being connected: passed on at once, so that its first answer comes a round trip
/// earlier. It is kept until the target is connected, for whoever answers when it is not, and for another attempt.
/// </summary>
/// <remarks>
/// Who waits for the application's first bytes goes on waiting after <see cref="Stop"/> and leaves them alone when they come: to end a wait would
/// cost each stream whose target was quicker than its application a turn of the thread pool.
/// </remarks>
/// <param name="application">The stream.</param>
public sealed class EarlyData(DuplexStream application)
{
    private const int Most = 4 * 1024;

    private readonly Lock _gate = new();
    private State _state;
    private DuplexStream? _target;
    private ReadOnlyMemory<byte> _said;
    private Task<ReadOnlyMemory<byte>> _listening = Task.FromResult(ReadOnlyMemory<byte>.Empty);
    private Task? _repeating;

    private enum State
    {
        /// <summary>Nobody waits for the application.</summary>
        Idle,

        /// <summary>What comes is for the target.</summary>
        Listening,

        /// <summary>What comes is left for whoever reads next.</summary>
        Stopped,

        /// <summary>The application has spoken.</summary>
        Spoken,
    }

    /// <summary>What was said; empty when it was nothing, or nothing was asked.</summary>
    public ReadOnlyMemory<byte> Sent { get; private set; }

    /// <summary>
    /// True when it does no harm that a target sees it twice: nothing, or how a session begins in a protocol that does nothing before it has
    /// begun, and nothing after that. False when nobody knows.
    /// </summary>
    public bool MayRepeat => Sent.IsEmpty || FirstWords.AreGreeting(Sent.Span);

    /// <summary>Completes soon after <see cref="Stop"/>.</summary>
    public Task Finished => Sent.IsEmpty ? Task.CompletedTask : _repeating ?? _listening;

    /// <summary>The application from the first byte on that was not passed on. Once, after <see cref="Finished"/>.</summary>
    public DuplexStream Rest() => !Sent.IsEmpty || _listening is { IsCompleted: true, Result.IsEmpty: true }
        ? application
        : new AwaitedStream(_listening, application);

    /// <summary>The application as if nothing had been read of it. Once, after <see cref="Finished"/>.</summary>
    public DuplexStream Unread() => Sent.IsEmpty ? Rest() : new PrefixedStream(Sent, application);

    /// <summary>Begins to pass on what the application says first, or said to an earlier attempt that has failed and is finished.</summary>
    /// <param name="target">Where to; it may be aborted meanwhile.</param>
    /// <exception cref="InvalidOperationException">The last attempt has not stopped.</exception>
    public void Start(DuplexStream target)
    {
        State before;
        lock (_gate)
        {
            before = _state;
            if (before == State.Listening)
            {
                throw new InvalidOperationException("The last attempt has not stopped.");
            }

            _target = target;
            if (before == State.Spoken)
            {
                Sent = _said;
            }
            else
            {
                _state = State.Listening;
            }
        }

        if (before == State.Spoken)
        {
            _repeating = PassAsync(target);
        }
        else if (before == State.Idle)
        {
            _listening = ListenAsync();
        }
    }

    /// <summary>
    /// The target was connected, or was not: nothing new is passed on. After <see cref="Finished"/> the application is somebody else's to
    /// read, as <see cref="Rest"/> or <see cref="Unread"/>.
    /// </summary>
    public void Stop()
    {
        lock (_gate)
        {
            if (_state == State.Listening)
            {
                _state = State.Stopped;
            }
        }
    }

    /// <summary>Passes on what comes first.</summary>
    /// <returns>What came too late for that; mostly it is left in the application.</returns>
    private async Task<ReadOnlyMemory<byte>> ListenAsync()
    {
        try
        {
            await application.ReadAsync(Memory<byte>.Empty, CancellationToken.None);
            if (HasStopped())
            {
                return default;
            }

            var said = await ReadAsync();
            if (!MayPass(said))
            {
                return said;
            }

            await PassAsync(_target!);
        }
        catch (StreamAbortedException)
        {
            // The application is gone; whoever reads next will find it so.
        }

        return default;
    }

    private bool HasStopped()
    {
        lock (_gate)
        {
            if (_state != State.Stopped)
            {
                return false;
            }

            _state = State.Idle;
            return true;
        }
    }

    private bool MayPass(ReadOnlyMemory<byte> said)
    {
        lock (_gate)
        {
            var isWanted = _state == State.Listening;
            _state = State.Spoken;
            _said = said;
            if (isWanted)
            {
                Sent = said;
            }

            return isWanted;
        }
    }

    // Kept as long as the stream lives, so not in a buffer that is larger than it.
    private async ValueTask<ReadOnlyMemory<byte>> ReadAsync()
    {
        var buffer = ArrayPool<byte>.Shared.Rent(Most);
        try
        {
            var count = await application.ReadAsync(buffer.AsMemory(0, Most), CancellationToken.None);
            return buffer.AsSpan(0, count).ToArray();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task PassAsync(DuplexStream target)
    {
        try
        {
            await target.WriteAsync(Sent, CancellationToken.None);
        }
        catch (StreamAbortedException)
        {
            // Whichever end is gone, the relay, or the answer to a refusal, will find it so.
        }
    }
}
