using System.Runtime.CompilerServices;
using Shared.Streams;
using Shared.Streams.Relaying;

namespace TunnelIngress.Streams;

/// <summary>A stream to a service's target whose other end is in this process. It counts what passes, and ends as it is disposed of.</summary>
internal sealed class AttachedStream : DuplexStream
{
    private readonly OpenedStream _opened;
    private readonly DuplexStream _target;
    private readonly StreamSet<StreamInfo>.Entry _entry;
    private readonly Action<StreamInfo, RelayResult> _ended;
    private long _toTarget;
    private long _fromTarget;
    private StreamAbort _reason;
    private int _aborted;
    private int _disposed;

    /// <param name="opened">What is attached.</param>
    /// <param name="streams">The streams that can be cut.</param>
    /// <param name="ended">Told once, when it is over.</param>
    public AttachedStream(OpenedStream opened, StreamSet<StreamInfo> streams, Action<StreamInfo, RelayResult> ended)
    {
        (_opened, _target, _ended) = (opened, opened.Target.Stream, ended);
        _entry = streams.Add(opened.Info, this, _target);
    }

    /// <inheritdoc/>
    public override bool IsLeaving => !_opened.Info.Session.IsActive;

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var count = await _target.ReadAsync(buffer, cancellationToken);
        _fromTarget += count;
        return count;
    }

    /// <inheritdoc/>
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _toTarget += buffer.Length;
        return _target.WriteAsync(buffer, cancellationToken);
    }

    /// <inheritdoc/>
    public override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default) => _target.CompleteWritesAsync(cancellationToken);

    /// <inheritdoc/>
    public override void Abort(StreamAbort reason)
    {
        if (Interlocked.Exchange(ref _aborted, 1) == 0)
        {
            _reason = reason;
        }

        _target.Abort(reason);
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _opened.DisposeAsync();
        _entry.Dispose();

        // That a pool lets go of a connection is how most of them end.
        var isCut = Volatile.Read(ref _aborted) != 0 && _reason.Code != AbortCode.Dropped;
        _ended(_opened.Info, new RelayResult(
            isCut ? RelayEnd.Cut : RelayEnd.Completed, isCut ? null : RelaySide.Application, isCut ? _reason : null, _toTarget, _fromTarget));
    }
}
