using Shared.Streams.Sockets;

namespace Shared.Streams.Tests.Sockets;

public sealed class ListenAddressTests
{
    [Theory]
    [InlineData("127.0.0.1:5432", "127.0.0.1:5432", true)]
    [InlineData("localhost:5432", "127.0.0.1:5432", true)]
    [InlineData("[::1]:5432", "[::1]:5432", true)]
    [InlineData("0.0.0.0:0", "0.0.0.0:0", false)]
    [InlineData("[::]:443", "[::]:443", false)]
    [InlineData("10.1.2.3:65535", "10.1.2.3:65535", false)]
    [InlineData("unix:/run/x/.s.PGSQL.5432", "unix:/run/x/.s.PGSQL.5432", true)]
    [InlineData("unix:///run/x.sock", "unix:/run/x.sock", true)]
    public void Address_is_read_and_written_alike(string text, string written, bool loopbackOnly)
    {
        var address = ListenAddress.Parse(text);

        Assert.Equal(written, address.ToString());
        Assert.Equal(loopbackOnly, address.IsLoopbackOnly);
        Assert.Equal(address, ListenAddress.Parse(written));
    }

    [Theory]
    [InlineData("")]
    [InlineData("5432")]
    [InlineData(":5432")]
    [InlineData("1:5432")]
    [InlineData("127.1:5432")]
    [InlineData("127.0.0.1")]
    [InlineData("127.0.0.1:")]
    [InlineData("127.0.0.1:-1")]
    [InlineData("127.0.0.1:65536")]
    [InlineData("127.0.0.1: 5432")]
    [InlineData("::1:5432")]
    [InlineData("[::1]")]
    [InlineData("[127.0.0.1]:5432")]
    [InlineData("db.example.com:5432")]
    [InlineData("tcp://127.0.0.1:5432")]
    [InlineData("unix:")]
    [InlineData("unix:relative.sock")]
    [InlineData("unix://host/path")]
    public void Text_that_is_no_address_is_refused_with_the_accepted_forms(string text)
    {
        var error = Assert.Throws<FormatException>(() => ListenAddress.Parse(text));

        Assert.Contains($"'{text}'", error.Message, StringComparison.Ordinal);
        Assert.Contains("unix:/path", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Unix_path_longer_than_the_system_takes_is_refused()
    {
        Assert.NotNull(ListenAddress.Parse("unix:/" + new string('a', 106)));
        Assert.Throws<FormatException>(() => ListenAddress.Parse("unix:/" + new string('a', 107)));
    }
}
