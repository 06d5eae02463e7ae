using Shared.Streams.Dialing;

namespace Shared.Streams.Tests.Dialing;

public sealed class TargetAddressTests
{
    [Theory]
    [InlineData("tcp://10.0.1.5:5432")]
    [InlineData("tls://db.internal:5432")]
    [InlineData("tcp://[::1]:5432")]
    [InlineData("unix:///run/postgresql/.s.PGSQL.5432")]
    public void Target_is_read_and_written_alike(string text) => Assert.Equal(text, TargetAddress.Parse(text).ToString());

    [Theory]
    [InlineData("http://grafana.internal:3000", "grafana.internal", 3000)]
    [InlineData("http://grafana.internal", "grafana.internal", 80)]
    [InlineData("https://grafana.internal/", "grafana.internal", 443)]
    [InlineData("https://[::1]:8443", "::1", 8443)]
    public void Web_server_is_TCP_at_its_port(string text, string host, int port)
    {
        var target = TargetAddress.Parse(text);

        Assert.Equal((host, port), (target.Host, target.Port));
        Assert.IsType<TcpDialer>(target.CreateDialer(CertificateTrust.System, TimeSpan.FromSeconds(1), TimeProvider.System));
    }

    [Theory]
    [InlineData("")]
    [InlineData("10.0.1.5:5432")]
    [InlineData("ftp://10.0.1.5:21")]
    [InlineData("http://10.0.1.5:0")]
    [InlineData("https://10.0.1.5/path")]
    [InlineData("http://")]
    [InlineData("tcp://10.0.1.5")]
    [InlineData("tcp://10.0.1.5:0")]
    [InlineData("tcp://10.0.1.5:70000")]
    [InlineData("tcp://:5432")]
    [InlineData("tcp://user@10.0.1.5:5432")]
    [InlineData("tcp://10.0.1.5:5432/orders")]
    [InlineData("tcp://10.0.1.5:5432?x=1")]
    [InlineData("unix://relative/path")]
    [InlineData("unix:///")]
    public void Anything_else_is_refused_with_what_to_write(string text)
    {
        var exception = Assert.Throws<FormatException>(() => TargetAddress.Parse(text));

        Assert.Contains($"'{text}'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("tcp://10.0.1.5:5432", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Unix_path_longer_than_the_system_takes_is_refused() =>
        Assert.Throws<FormatException>(() => TargetAddress.Parse("unix:///" + new string('a', 108)));

    [Theory]
    [InlineData("db.example.com", "db.example.com:443")]
    [InlineData("db.example.com:8443", "db.example.com:8443")]
    [InlineData("[::1]:8443", "[::1]:8443")]
    [InlineData("::1", "[::1]:443")]
    public void Host_and_port_are_read(string text, string expected) =>
        Assert.Equal(expected, HostAndPort.Parse(text, 443).ToString());

    [Theory]
    [InlineData("")]
    [InlineData("db:")]
    [InlineData("db:0")]
    [InlineData("db:99999")]
    [InlineData("wss://db")]
    [InlineData("a b")]
    public void Bad_host_and_port_is_refused(string text) => Assert.Throws<FormatException>(() => HostAndPort.Parse(text, 443));
}
