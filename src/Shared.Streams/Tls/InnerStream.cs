using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Shared.Streams.Tls;

/// <summary>
/// What SslStream needs of the stream underneath it. Remembers whether the end was reached, which is how a missing
/// close_notify is told from one that came.
/// </summary>
/// <remarks>
/// SslStream locks decryption against encryption but not against ShutdownAsync, and an OpenSSL session must not be used from two
/// threads at once. So the reader holds <see cref="Session"/> except while it waits for bytes, and shutting down takes it, too.
/// </remarks>
internal sealed class InnerStream(DuplexStream inner) : AdaptedStream(inner, leaveOpen: true)
{
    [SuppressMessage("Reliability", "CA2213", Justification = "Without a wait handle it owns nothing, and a reader may come back to it after disposal.")]
    private readonly SemaphoreSlim _session = new(1);
    private readonly TransportBuffer _buffer = new(inner);
    private volatile bool _endReached;

    /// <summary>The right to use the TLS session for reading or for shutting down.</summary>
    public SemaphoreSlim Session => _session;

    /// <summary>What was gathered, or came before it was asked for.</summary>
    public TransportBuffer Buffer => _buffer;

    /// <summary>True once the stream underneath has ended.</summary>
    public bool EndReached => _endReached;

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var reading = _buffer.ReadAsync(buffer, cancellationToken);
        var count = reading.IsCompleted ? await reading : await WaitAsync(reading);
        _endReached |= count == 0 && !buffer.IsEmpty;
        return count;
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        _buffer.WriteAsync(buffer, cancellationToken);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> WaitAsync(ValueTask<int> reading)
    {
        _session.Release();
        try
        {
            var count = await reading;
            if (StepsAside)
            {
                await Task.Yield();
            }

            return count;
        }
        finally
        {
            // Held for a moment only by the other side, so there is nothing to cancel.
            await _session.WaitAsync(CancellationToken.None);
        }
    }
}
