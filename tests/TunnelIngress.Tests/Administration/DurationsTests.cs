using TunnelIngress.Administration;

namespace TunnelIngress.Tests.Administration;

public sealed class DurationsTests
{
    [Theory]
    [InlineData("90d", 90 * 86_400)]
    [InlineData("12h", 12 * 3_600)]
    [InlineData("30m", 1_800)]
    [InlineData("45s", 45)]
    [InlineData("0s", 0)]
    public void A_number_with_a_unit_is_a_span(string text, int seconds)
    {
        Assert.True(Durations.TryParse(text, out var span));
        Assert.Equal(TimeSpan.FromSeconds(seconds), span);
    }

    [Theory]
    [InlineData("")]
    [InlineData("d")]
    [InlineData("90")]
    [InlineData("-1d")]
    [InlineData("+1d")]
    [InlineData("1.5h")]
    [InlineData("1 d")]
    [InlineData("1D")]
    [InlineData("1w")]
    [InlineData("99999999999999999999d")]
    [InlineData("2147483647d")]
    public void Anything_else_is_none(string text) => Assert.False(Durations.TryParse(text, out _));
}
