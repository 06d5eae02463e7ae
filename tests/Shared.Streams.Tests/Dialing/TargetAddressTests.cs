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
    [InlineData("")]
    [InlineData("10.0.1.5:5432")]
    [InlineData("http://10.0.1.5:5432")]
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
