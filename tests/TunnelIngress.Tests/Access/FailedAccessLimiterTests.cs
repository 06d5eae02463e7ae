using System.Net;
using Microsoft.Extensions.Time.Testing;
using TunnelIngress.Access;

namespace TunnelIngress.Tests.Access;

public sealed class FailedAccessLimiterTests
{
    private static readonly IPAddress Someone = IPAddress.Parse("192.0.2.1");

    private readonly FakeTimeProvider _time = new();
    private readonly FailedAccessLimiter _limiter;

    public FailedAccessLimiterTests() => _limiter = new FailedAccessLimiter(_time);

    [Fact]
    public void A_burst_is_counted_then_limited_and_time_gives_room_again()
    {
        Assert.Equal(FailedAccessLimiter.Burst, CountUntilLimited(Someone));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(FailedAccessLimiter.PerSecond, CountUntilLimited(Someone));
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(FailedAccessLimiter.Burst, CountUntilLimited(Someone));
    }

    [Fact]
    public void Another_address_is_not_limited()
    {
        CountUntilLimited(Someone);
        Assert.True(_limiter.TryCount(IPAddress.Parse("192.0.2.2")));
    }

    [Fact]
    public void One_subscriber_of_IPv6_is_one_address()
    {
        CountUntilLimited(IPAddress.Parse("2001:db8:0:1::1"));
        Assert.False(_limiter.TryCount(IPAddress.Parse("2001:db8:0:1:ffff::2")));
        Assert.True(_limiter.TryCount(IPAddress.Parse("2001:db8:0:2::1")));
    }

    [Fact]
    public void An_IPv4_address_in_IPv6_form_is_the_same_address()
    {
        CountUntilLimited(Someone);
        Assert.False(_limiter.TryCount(Someone.MapToIPv6()));
        Assert.True(_limiter.TryCount(IPAddress.Parse("198.51.100.1").MapToIPv6()));
    }

    [Fact]
    public void The_table_is_bounded_and_forgets_who_is_idle()
    {
        for (var i = 0; i < FailedAccessLimiter.MaxAddresses + 1000; i++)
        {
            _limiter.TryCount(Address(i));
        }

        Assert.Equal(FailedAccessLimiter.MaxAddresses, _limiter.Count);
        Assert.False(_limiter.TryCount(Address(FailedAccessLimiter.MaxAddresses + 5)));

        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.True(_limiter.TryCount(Someone));
        Assert.Equal(1, _limiter.Count);
    }

    private static IPAddress Address(int number) => new([10, (byte)(number >> 16), (byte)(number >> 8), (byte)number]);

    private int CountUntilLimited(IPAddress address)
    {
        var count = 0;
        while (_limiter.TryCount(address))
        {
            count++;
        }

        return count;
    }
}
