using Shared.Streams.Protocol;

namespace Shared.Streams.Tests.Protocol;

public sealed class PlainNameTests
{
    [Theory]
    [InlineData("db-1", "db-1")]
    [InlineData("DB01.example.com", "db01-example-com")]
    [InlineData("..x_y..", "x-y")]
    [InlineData("b\u00fccher", "b-cher")]
    [InlineData("\u00fc", "otherwise")]
    [InlineData("", "otherwise")]
    [InlineData("a23456789.b23456789.c23456789.d23456789.e23456789.f23456789.gh.i23", "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-gh")]
    public void The_nearest_name_is_one(string text, string expected)
    {
        Assert.Equal(expected, PlainName.Nearest(text, "otherwise"));
        Assert.True(PlainName.IsValid(expected));
    }
}
