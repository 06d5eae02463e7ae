using Shared.Hosting.Configuration;
using TunnelIngress.Configuration;

namespace TunnelIngress.Tests.Configuration;

public sealed class IngressSettingsTests
{
    [Theory]
    [InlineData(1, true)]
    [InlineData(65_535, true)]
    [InlineData(0, false)]
    [InlineData(65_536, false)]
    public void Public_port_is_a_port(int port, bool isOne)
    {
        var options = new IngressOptions { Listen = ["127.0.0.1:0"], DevCertificate = true, PublicPorts = [443, port] };

        AssertNames("PublicPorts:1", isOne, options, settings => Assert.Equal([443, port], settings.PublicPorts));
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(-1, false)]
    public void Share_of_a_token_is_a_number_of_connections(int share, bool isOne)
    {
        var options = new IngressOptions { Listen = ["127.0.0.1:0"], DevCertificate = true, Limits = { MaxConnectionsPerToken = share } };

        AssertNames("Limits:MaxConnectionsPerToken", isOne, options, settings => Assert.Equal(share, settings.Limits.MaxConnectionsPerToken));
    }

    private static void AssertNames(string key, bool isSound, IngressOptions options, Action<IngressSettings> assert)
    {
        if (isSound)
        {
            assert(IngressSettings.From(options));
        }
        else
        {
            Assert.Contains(key, Assert.Throws<ConfigurationException>(() => IngressSettings.From(options)).Message, StringComparison.Ordinal);
        }
    }
}
