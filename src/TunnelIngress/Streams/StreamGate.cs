using System.Collections.Concurrent;
using Shared.Streams.Dialing;
using TunnelIngress.Configuration;

namespace TunnelIngress.Streams;

/// <summary>
/// Admission of new streams: none while draining, and bounds on how many there are, in all and for one token. Safe for concurrent use.
/// </summary>
internal sealed class StreamGate(LimitOptions limits)
{
    private static readonly TimeSpan DrainCheck = TimeSpan.FromMilliseconds(50);

    private readonly ConcurrentDictionary<string, int> _perToken = new(StringComparer.Ordinal);
    private int _total;
    private volatile bool _draining;

    public bool IsDraining => _draining;

    /// <summary>No new streams from here on.</summary>
    public void Drain() => _draining = true;

    /// <summary>Completes when no stream runs, and none is being opened.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled before.</exception>
    public async Task WhenEmptyAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        while (Volatile.Read(ref _total) > 0)
        {
            await Task.Delay(DrainCheck, time, cancellationToken);
        }
    }

    /// <summary>Counts a stream in; dispose when it has ended.</summary>
    /// <param name="tokenId">Whose limit it counts against; null for nobody's.</param>
    /// <param name="countsInAll">Whether it counts against the limit of all: what travels in a stream that is admitted by itself does not.</param>
    /// <param name="mayDrain">Whether it is for those who are let finish while the ingress drains.</param>
    /// <exception cref="DialException">Hop ingress, code draining or limited.</exception>
    public Admission Admit(string? tokenId, bool countsInAll = true, bool mayDrain = false)
    {
        if (_draining && !mayDrain)
        {
            throw new DialException(Hop.Ingress, "draining", "The ingress is shutting down; try again, another one will answer.");
        }

        if (countsInAll && Interlocked.Increment(ref _total) > limits.MaxStreams)
        {
            Interlocked.Decrement(ref _total);
            throw new DialException(Hop.Ingress, "limited", $"The ingress carries its limit of {limits.MaxStreams} streams.");
        }

        if (tokenId is not null && _perToken.AddOrUpdate(tokenId, 1, static (_, count) => count + 1) > limits.MaxStreamsPerToken)
        {
            Release(tokenId, countsInAll);
            throw new DialException(Hop.Ingress, "limited", $"This token has its limit of {limits.MaxStreamsPerToken} streams.");
        }

        return new Admission(this, tokenId, countsInAll);
    }

    private void Release(string? tokenId, bool countsInAll)
    {
        if (countsInAll)
        {
            Interlocked.Decrement(ref _total);
        }

        if (tokenId is not null && _perToken.AddOrUpdate(tokenId, 0, static (_, count) => count - 1) == 0)
        {
            // Only if it is still zero: a stream may have been counted in between.
            _perToken.TryRemove(new KeyValuePair<string, int>(tokenId, 0));
        }
    }

    /// <summary>A counted stream.</summary>
    internal sealed class Admission(StreamGate gate, string? tokenId, bool countsInAll) : IDisposable
    {
        private int _released;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _released, 1) == 0)
            {
                gate.Release(tokenId, countsInAll);
            }
        }
    }
}
