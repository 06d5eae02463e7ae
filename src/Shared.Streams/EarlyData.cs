using System.Buffers;

namespace Shared.Streams;

/// <summary>
/// What an application says while its target is still being connected: passed on at once, so that its first answer comes a round trip
/// earlier. It is kept until the target is connected, for whoever answers when it is not, and for another attempt.
/// </summary>
/// <param name="application">
/// A stream whose pending reads can be cancelled without loss, as a socket's can.
/// </param>
public sealed class EarlyData(DuplexStream application) : IDisposable
{
    private const int Most = 4 * 1024;

    private CancellationTokenSource _answered = new();
    private Task _passing = Task.CompletedTask;

    /// <summary>What was said; empty when it was nothing, or nothing was asked.</summary>
    public ReadOnlyMemory<byte> Sent { get; private set; }

    /// <summary>
    /// True when it does no harm that a target sees it twice: nothing, or how a session begins in a protocol that does nothing before it has
    /// begun, and nothing after that. False when nobody knows.
    /// </summary>
    public bool MayRepeat => Sent.IsEmpty || FirstWords.AreGreeting(Sent.Span);

    /// <summary>Completes soon after <see cref="Stop"/>.</summary>
    public Task Finished => _passing;

    /// <summary>The application as if nothing had been read of it.</summary>
    public DuplexStream Unread => Sent.IsEmpty ? application : new PrefixedStream(Sent, application);

    /// <summary>Begins to pass on what the application says first, or said to an earlier attempt that has failed and is finished.</summary>
    /// <param name="target">Where to; it may be aborted meanwhile.</param>
    public void Start(DuplexStream target)
    {
        if (_answered.IsCancellationRequested)
        {
            _answered.Dispose();
            _answered = new CancellationTokenSource();
        }

        _passing = PassAsync(target, _answered.Token);
    }

    /// <summary>
    /// The target was connected, or was not: nothing new is listened to. After <see cref="Finished"/> the application is somebody else's to
    /// read.
    /// </summary>
    public void Stop() => _answered.Cancel();

    /// <inheritdoc/>
    public void Dispose() => _answered.Dispose();

    // Kept as long as the stream lives, so not in a buffer that is larger than it.
    private async ValueTask ReadAsync(CancellationToken answered)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(Most);
        try
        {
            var count = await application.ReadAsync(buffer.AsMemory(0, Most), answered);
            Sent = buffer.AsSpan(0, count).ToArray();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task PassAsync(DuplexStream target, CancellationToken answered)
    {
        try
        {
            if (Sent.IsEmpty)
            {
                await application.ReadAsync(Memory<byte>.Empty, answered);
                await ReadAsync(answered);
            }

            await target.WriteAsync(Sent, CancellationToken.None);
        }
        catch (OperationCanceledException) when (answered.IsCancellationRequested)
        {
            // The application has said nothing so far: the relay listens from here on.
        }
        catch (StreamAbortedException)
        {
            // Whichever end is gone, the relay, or the answer to a refusal, will find it so.
        }
    }
}
