using Microsoft.Extensions.Time.Testing;
using Shared.Streams.Access;

namespace Shared.Streams.Tests.Access;

public sealed class ServiceTokenFileTests : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"token-{Guid.NewGuid():N}");

    [Fact]
    public async Task Token_is_read_again_when_the_file_changes()
    {
        await WriteAsync("""{"clientId":"a.access","clientSecret":"one"}""");
        var source = ServiceTokenFile.Open(_path, Unexpected);
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

        var exception = Assert.Throws<IOException>(() => ServiceTokenFile.Open(_path, Unexpected));

        Assert.Contains(_path, exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("topsecret", exception.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_file_says_how_to_make_one()
    {
        var exception = Assert.Throws<IOException>(() => ServiceTokenFile.Open(_path, Unexpected));

        Assert.Contains("tunnel-ingress token create", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task File_that_cannot_be_read_again_leaves_the_last_token_and_is_told_once()
    {
        await WriteAsync("""{"clientId":"a.access","clientSecret":"one"}""");
        var told = new List<string>();
        var source = ServiceTokenFile.Open(_path, told.Add);

        await WriteAsync("""{"clientId":"a.access","clientS""");
        Assert.Equal("one", (await source.GetAsync(TestContext.Current.CancellationToken)).ClientSecret);
        Assert.Equal("one", (await source.GetAsync(TestContext.Current.CancellationToken)).ClientSecret);
        Assert.Contains("does not hold", Assert.Single(told), StringComparison.Ordinal);

        File.Delete(_path);
        Assert.Equal("one", (await source.GetAsync(TestContext.Current.CancellationToken)).ClientSecret);
        Assert.Contains("does not exist", told[1], StringComparison.Ordinal);

        await WriteAsync("""{"clientId":"a.access","clientSecret":"second"}""");
        Assert.Equal("second", (await source.GetAsync(TestContext.Current.CancellationToken)).ClientSecret);
        File.Delete(_path);
        Assert.Equal("second", (await source.GetAsync(TestContext.Current.CancellationToken)).ClientSecret);
        Assert.Equal(3, told.Count);
    }

    [Fact]
    public async Task File_that_is_half_written_for_a_moment_only_is_read_when_it_is_whole()
    {
        await WriteAsync("""{"clientId":"a.access","clientSecret":"one"}""");
        var time = new WatchedTime();
        var source = ServiceTokenFile.Open(_path, Unexpected, time);
        await WriteAsync("""{"clientId":"a.access","clientS""");
        var asking = source.GetAsync(TestContext.Current.CancellationToken).AsTask();

        // Its first attempt fails, and is told to nobody.
        await time.IsWaitedFor.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await WriteAsync("""{"clientId":"a.access","clientSecret":"second"}""");
        while (!asking.IsCompleted)
        {
            time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }

        Assert.Equal("second", (await asking).ClientSecret);
    }

    [Fact]
    public void Token_as_text_hides_its_secret() =>
        Assert.DoesNotContain("topsecret", new ServiceToken("a.access", "topsecret").ToString(), StringComparison.Ordinal);

    public void Dispose() => File.Delete(_path);

    private static void Unexpected(string problem) => Assert.Fail(problem);

    private Task WriteAsync(string content) => File.WriteAllTextAsync(_path, content, TestContext.Current.CancellationToken);

    /// <summary>Tells when somebody has begun to wait for it.</summary>
    private sealed class WatchedTime : FakeTimeProvider
    {
        private readonly TaskCompletionSource _isWaitedFor = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task IsWaitedFor => _isWaitedFor.Task;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = base.CreateTimer(callback, state, dueTime, period);
            _isWaitedFor.TrySetResult();
            return timer;
        }
    }
}
