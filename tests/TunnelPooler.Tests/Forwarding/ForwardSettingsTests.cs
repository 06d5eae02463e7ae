using Microsoft.Extensions.Logging.Abstractions;
using Shared.Hosting.Configuration;
using TunnelPooler.Forwarding;

namespace TunnelPooler.Tests.Forwarding;

public sealed class ForwardSettingsTests
{
    [Fact]
    public void Hostname_without_a_port_means_443() =>
        Assert.Equal("db.example.com:443", ForwardSettings.From(Options(), NullLogger.Instance).Hostname.ToString());

    [Fact]
    public void Missing_hostname_is_asked_for() => AssertRefused(static options => options.Hostname = "", "--hostname orders-db.tunnel.example.com");

    [Theory]
    [InlineData("wss://db.example.com")]
    [InlineData("db.example.com:0")]
    public void Bad_hostname_is_named(string hostname) => AssertRefused(options => options.Hostname = hostname, "Hostname");

    [Theory]
    [InlineData("5432")]
    [InlineData("127.0.0.1:99999")]
    [InlineData("unix:relative")]
    public void Bad_address_is_named(string address) => AssertRefused(options => options.Listen = [address], "Listen:0");

    [Fact]
    public void No_address_is_refused() => AssertRefused(static options => options.Listen = [], "Listen");

    [Fact]
    public void Address_that_others_reach_must_be_asked_for()
    {
        AssertRefused(static options => options.Listen = ["0.0.0.0:5432"], "AllowRemote");

        Assert.Single(ForwardSettings.From(Options(static options => (options.Listen, options.AllowRemote) = (["0.0.0.0:5432"], true)), NullLogger.Instance).Listen);
    }

    [Fact]
    public void Management_that_others_reach_must_be_asked_for()
    {
        AssertRefused(static options => options.Management = "0.0.0.0:9083", "ManagementAllowRemote");

        Assert.Equal("0.0.0.0:9083", ForwardSettings.From(
            Options(static options => (options.Management, options.ManagementAllowRemote) = ("0.0.0.0:9083", true)), NullLogger.Instance).Management?.ToString());
    }

    private static void AssertRefused(Action<ForwardOptions> change, string expected) =>
        Assert.Contains(expected, Assert.Throws<ConfigurationException>(() => ForwardSettings.From(Options(change), NullLogger.Instance)).Message, StringComparison.Ordinal);

    private static ForwardOptions Options(Action<ForwardOptions>? change = null)
    {
        var options = new ForwardOptions
        {
            Hostname = "db.example.com",
            Listen = ["127.0.0.1:5432"],
            Token = new TokenOptions { ClientId = "id.access", ClientSecret = "secret" },
        };
        change?.Invoke(options);
        return options;
    }
}
