using System.Threading.Channels;

namespace Shared.Streams;

/// <summary>
/// Wakes one waiter; signals that come while one is pending are one. Any number of signallers, one waiter.
/// </summary>
public sealed class Signal
{
    private readonly Channel<bool> _pending = Channel.CreateBounded<bool>(new BoundedChannelOptions(1)
    {
        FullMode = BoundedChannelFullMode.DropWrite,
        SingleReader = true,
    });

    /// <summary>Wakes the waiter, now or when it next waits.</summary>
    public void Set() => _pending.Writer.TryWrite(true);

    /// <summary>Waits for a signal and takes it.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async ValueTask WaitAsync(CancellationToken cancellationToken) => await _pending.Reader.ReadAsync(cancellationToken);
}
