using Shared.Streams.Access;

namespace Shared.Streams.Tests.Access;

public sealed class ServiceTokenFileTests : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"token-{Guid.NewGuid():N}");

    [Fact]
    public async Task Token_is_read_again_when_the_file_changes()
    {
        var source = new ServiceTokenFile(_path);
        await WriteAsync("""{"clientId":"a.access","clientSecret":"one"}""");
        var first = await source.GetAsync(TestContext.Current.CancellationToken);

        await WriteAsync("""{"clientId":"a.access","clientSecret":"second"}""");
        var second = await source.GetAsync(TestContext.Current.CancellationToken);

        Assert.Equal(("one", "second"), (first.ClientSecret, second.ClientSecret));
    }

    [Theory]
    [InlineData("""{"clientId":"a.access"}""")]
    [InlineData("""{"clientId":"a.access","clientSecret":""}""")]
    [InlineData("""{"clientId":"a.access","clientSecret":tunnel_topsecret}""")]
    [InlineData("tunnel_topsecret")]
    [InlineData("")]
    public async Task Malformed_file_is_an_error_that_quotes_nothing_of_it(string content)
    {
        await WriteAsync(content);

        var exception = await Assert.ThrowsAsync<IOException>(
            async () => await new ServiceTokenFile(_path).GetAsync(TestContext.Current.CancellationToken));

        Assert.Contains(_path, exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("topsecret", exception.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Missing_file_says_how_to_make_one()
    {
        var exception = await Assert.ThrowsAsync<IOException>(
            async () => await new ServiceTokenFile(_path).GetAsync(TestContext.Current.CancellationToken));

        Assert.Contains("tunnel-ingress token create", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Token_as_text_hides_its_secret() =>
        Assert.DoesNotContain("topsecret", new ServiceToken("a.access", "topsecret").ToString(), StringComparison.Ordinal);

    public void Dispose() => File.Delete(_path);

    private Task WriteAsync(string content) => File.WriteAllTextAsync(_path, content, TestContext.Current.CancellationToken);
}
