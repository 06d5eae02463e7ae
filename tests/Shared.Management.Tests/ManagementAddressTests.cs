using Shared.Hosting.Configuration;

namespace Shared.Management.Tests;

public sealed class ManagementAddressTests
{
    [Theory]
    [InlineData(null)]
    [InlineData("")]
    public void None_is_none(string? text) => Assert.Null(ManagementAddress.From(text, allowRemote: false));

    [Theory]
    [InlineData("127.0.0.1:9081")]
    [InlineData("[::1]:9081")]
    [InlineData("unix:/run/tunnel/management.sock")]
    public void Address_of_this_host_needs_no_more(string text) => Assert.Equal(text, ManagementAddress.From(text, allowRemote: false)?.ToString());

    [Theory]
    [InlineData("0.0.0.0:9081")]
    [InlineData("[::]:9081")]
    [InlineData("10.0.1.5:9081")]
    public void Address_that_others_reach_must_be_asked_for(string text)
    {
        var refused = Assert.Throws<ConfigurationException>(() => ManagementAddress.From(text, allowRemote: false));

        Assert.StartsWith($"Management: '{text}' can be reached from outside.", refused.Message, StringComparison.Ordinal);
        Assert.Contains("ManagementAllowRemote", refused.Message, StringComparison.Ordinal);
        Assert.Equal(text, ManagementAddress.From(text, allowRemote: true)?.ToString());
    }

    [Fact]
    public void What_is_no_address_is_named() =>
        Assert.StartsWith("Management: '9081' is not an address", Assert.Throws<ConfigurationException>(() => ManagementAddress.From("9081", allowRemote: true)).Message, StringComparison.Ordinal);
}
