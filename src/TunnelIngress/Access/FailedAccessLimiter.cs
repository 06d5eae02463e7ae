using System.Net;
using System.Net.Sockets;
using System.Threading.RateLimiting;

namespace TunnelIngress.Access;

/// <summary>
/// Bounds what refused tokens may cost: per address (IPv6: per /64) only so many are answered 403, and in all only so many are
/// logged. A good token is never counted and never limited. Safe for concurrent use.
/// </summary>
internal sealed class FailedAccessLimiter : IAsyncDisposable
{
    private readonly PartitionedRateLimiter<IPAddress> _perAddress = PartitionedRateLimiter.Create<IPAddress, IPAddress>(
        static address => RateLimitPartition.GetTokenBucketLimiter(NetworkOf(address), static _ => Bucket(burst: 30, perSecond: 5)));

    private readonly TokenBucketRateLimiter _log = new(Bucket(burst: 20, perSecond: 10));

    /// <summary>Counts a refused token; false when its address has had too many.</summary>
    public bool TryCount(IPAddress address)
    {
        using var lease = _perAddress.AttemptAcquire(address);
        return lease.IsAcquired;
    }

    /// <summary>True when there is room for another log line.</summary>
    public bool MayLog()
    {
        using var lease = _log.AttemptAcquire();
        return lease.IsAcquired;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _perAddress.DisposeAsync();
        await _log.DisposeAsync();
    }

    private static TokenBucketRateLimiterOptions Bucket(int burst, int perSecond) => new()
    {
        TokenLimit = burst,
        TokensPerPeriod = perSecond,
        ReplenishmentPeriod = TimeSpan.FromSeconds(1),
        QueueLimit = 0,
        AutoReplenishment = true,
    };

    private static IPAddress NetworkOf(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
        {
            return address.MapToIPv4();
        }

        if (address.AddressFamily != AddressFamily.InterNetworkV6)
        {
            return address;
        }

        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out _);
        bytes[8..].Clear();
        return new IPAddress(bytes);
    }
}
