using System.Net;
using Shared.Streams.Sockets;

namespace TunnelIngress.Access;

/// <summary>
/// Bounds what refused tokens may cost: per address (<see cref="RemoteNetwork"/>) only so many are answered 403. A good token is never
/// counted and never limited. Safe for concurrent use.
/// </summary>
internal sealed class FailedAccessLimiter
{
    public const int Burst = 30;
    public const int PerSecond = 5;
    public const int MaxAddresses = 16_384;

    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private readonly Dictionary<RemoteNetwork, Bucket> _addresses = [];

    // All addresses that find the table full share this one.
    private readonly Bucket _others;
    private long _sweptAt;

    public FailedAccessLimiter(TimeProvider time)
    {
        _time = time;
        _sweptAt = time.GetTimestamp();
        _others = new Bucket(Burst, PerSecond, _sweptAt);
    }

    /// <summary>How many addresses are remembered: <see cref="MaxAddresses"/> at most.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _addresses.Count;
            }
        }
    }

    /// <summary>Counts a refused token; false when its address has had too many.</summary>
    public bool TryCount(IPAddress address)
    {
        lock (_lock)
        {
            var now = _time.GetTimestamp();
            return BucketOf(RemoteNetwork.Of(address), now).TryTake(_time, now);
        }
    }

    private Bucket BucketOf(RemoteNetwork key, long now)
    {
        if (_addresses.TryGetValue(key, out var known))
        {
            return known;
        }

        if (_addresses.Count >= MaxAddresses)
        {
            ForgetIdle(now);
        }

        return _addresses.Count >= MaxAddresses ? _others : _addresses[key] = new Bucket(Burst, PerSecond, now);
    }

    /// <summary>A bucket that is full again is like a new one. At most once a second: it looks at the whole table.</summary>
    private void ForgetIdle(long now)
    {
        if (_time.GetElapsedTime(_sweptAt, now) < SweepInterval)
        {
            return;
        }

        _sweptAt = now;
        foreach (var (key, bucket) in _addresses)
        {
            if (bucket.IsFull(_time, now))
            {
                _addresses.Remove(key);
            }
        }
    }

    private sealed class Bucket(int burst, int perSecond, long now)
    {
        private double _tokens = burst;
        private long _filledAt = now;

        public bool TryTake(TimeProvider time, long at)
        {
            _tokens = TokensAt(time, at);
            _filledAt = at;
            if (_tokens < 1)
            {
                return false;
            }

            _tokens--;
            return true;
        }

        public bool IsFull(TimeProvider time, long at) => TokensAt(time, at) >= burst;

        private double TokensAt(TimeProvider time, long at) =>
            Math.Min(burst, _tokens + (time.GetElapsedTime(_filledAt, at).TotalSeconds * perSecond));
    }
}
