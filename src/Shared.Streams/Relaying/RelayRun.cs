using Shared.Streams.Flushing;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;

namespace Shared.Streams.Relaying;

/// <summary>One run of a relay. <c>End</c> is the one door to its end: the first caller's verdict stays.</summary>
internal sealed class RelayRun(DuplexStream application, DuplexStream target, RelayOptions options, TimeProvider time)
{
    /// <summary>With its frame's header it fills four TLS records, where the largest payload would need a fifth.</summary>
    private const int BufferSize = TunnelProtocol.MaxPayload - FrameHeader.Size;

    /// <summary>So many messages in a row without a wait; then the other streams of this thread have their turn.</summary>
    private const int MaxInARow = 128;

    private Verdict? _verdict;
    private ITimer? _halfCloseTimer;
    private long _toTarget;
    private long _toApplication;
    private long _movedAtLastLook;
    private int _endedDirections;
    private RelaySide _firstToEnd;

    public async Task<RelayResult> RunAsync()
    {
        try
        {
            await Task.WhenAll(PumpAsync(RelaySide.Application), PumpAsync(RelaySide.Target));
        }
        finally
        {
            if (_halfCloseTimer is not null)
            {
                await _halfCloseTimer.DisposeAsync();
            }

            await Task.WhenAll(application.DisposeAsync().AsTask(), target.DisposeAsync().AsTask());
        }

        var verdict = _verdict ?? new Verdict(RelayEnd.Completed, _firstToEnd, null);
        return new RelayResult(verdict.End, verdict.EndedBy, verdict.Reason, _toTarget, _toApplication);
    }

    /// <summary>Carries what comes from one side to the other until it ends.</summary>
    private async Task PumpAsync(RelaySide source)
    {
        var (from, to) = source == RelaySide.Application ? (application, target) : (target, application);
        var reading = true;
        byte[]? buffer = null;
        var inARow = 0;
        try
        {
            while (true)
            {
                reading = true;
                var waiting = from.ReadAsync(Memory<byte>.Empty);
                if (!waiting.IsCompleted)
                {
                    GiveBack(ref buffer);
                    inARow = 0;
                }

                await waiting;
                if (++inARow > MaxInARow)
                {
                    await Task.Yield();
                    inARow = 0;
                }

                buffer ??= options.Buffers.Rent(BufferSize);
                var count = await from.ReadAsync(buffer.AsMemory(0, BufferSize));
                reading = false;
                if (count == 0)
                {
                    OnSourceEnded(source);
                    await to.CompleteWritesAsync();
                    return;
                }

                if (inARow > 1)
                {
                    // Others need not wait until this stream has done. The end of one costs them nothing, and leaves with its last bytes.
                    FlushScope.FlushHeldBack();
                }

                await to.WriteAsync(buffer.AsMemory(0, count));
                Count(source, count);
            }
        }
        catch (StreamAbortedException exception)
        {
            var side = reading ? source : Other(source);
            End(exception.ByPeer ? RelayEnd.Aborted : RelayEnd.Cut, exception.ByPeer ? side : null, exception.Reason);
        }
        catch
        {
            End(RelayEnd.Cut, null, new StreamAbort(AbortCode.Dropped, "internal error"));
            throw;
        }
        finally
        {
            GiveBack(ref buffer);
        }
    }

    private void GiveBack(ref byte[]? buffer)
    {
        if (buffer is not null)
        {
            options.Buffers.Return(buffer);
            buffer = null;
        }
    }

    private void Count(RelaySide source, int count)
    {
        // One writer each; read by the half-close timer and after the end.
        if (source == RelaySide.Application)
        {
            Volatile.Write(ref _toTarget, _toTarget + count);
        }
        else
        {
            Volatile.Write(ref _toApplication, _toApplication + count);
        }
    }

    private void OnSourceEnded(RelaySide source)
    {
        if (Interlocked.Increment(ref _endedDirections) == 1)
        {
            _firstToEnd = source;
            _movedAtLastLook = Moved;
            _halfCloseTimer = time.CreateTimer(
                static state => ((RelayRun)state!).OnHalfCloseTimer(), this, options.HalfCloseTimeout, options.HalfCloseTimeout);
        }
    }

    private void OnHalfCloseTimer()
    {
        var moved = Moved;
        if (moved == _movedAtLastLook)
        {
            End(RelayEnd.TimedOut, null, new StreamAbort(AbortCode.Timeout, $"half-closed and silent for {options.HalfCloseTimeout.TotalSeconds:0} s"));
        }

        _movedAtLastLook = moved;
    }

    private long Moved => Volatile.Read(ref _toTarget) + Volatile.Read(ref _toApplication);

    private void End(RelayEnd end, RelaySide? endedBy, StreamAbort reason)
    {
        if (Interlocked.CompareExchange(ref _verdict, new Verdict(end, endedBy, reason), null) is null)
        {
            application.Abort(reason);
            target.Abort(reason);
        }
    }

    private static RelaySide Other(RelaySide side) => side == RelaySide.Application ? RelaySide.Target : RelaySide.Application;

    private sealed record Verdict(RelayEnd End, RelaySide? EndedBy, StreamAbort? Reason);
}
