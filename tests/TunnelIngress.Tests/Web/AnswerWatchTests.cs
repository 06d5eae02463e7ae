using System.Text;
using TunnelIngress.Web;

namespace TunnelIngress.Tests.Web;

public sealed class AnswerWatchTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Wire _wire = new();
    private readonly AnswerWatch _watch;
    private readonly Upload _upload = new();

    public AnswerWatchTests()
    {
        _watch = new AnswerWatch(_wire);
        Upload.Current = _upload;
    }

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public void Dispose() => Upload.Current = null;

    /// <summary>The client has sent everything, and the origin takes no more of it.</summary>
    [Fact]
    public async Task Refusal_is_heard_while_the_last_write_is_stuck()
    {
        var buffer = new byte[4096];
        var ahead = _watch.ReadAsync(buffer, Cancelled).AsTask();
        await _watch.WriteAsync("headers"u8.ToArray(), Cancelled);
        _wire.Stuck = new TaskCompletionSource();
        _upload.Finish();
        var last = _watch.WriteAsync("the last bytes"u8.ToArray(), Cancelled).AsTask();

        _wire.Arrived.SetResult("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
        _wire.Stuck.SetException(new IOException("The origin has closed."));

        await last.WaitAsync(Patience, Cancelled);
        Assert.Equal(413, _upload.RefusedStatus);
        Assert.StartsWith("HTTP/1.1 413 No\r\nConnection: close\r\n", Encoding.ASCII.GetString(buffer, 0, await ahead), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("413 No")]
    [InlineData("302 Found")]
    public async Task Refusal_that_is_longer_than_the_buffer_is_marked(string status)
    {
        var buffer = new byte[4096];
        var ahead = _watch.ReadAsync(buffer, Cancelled).AsTask();
        await _watch.WriteAsync("headers"u8.ToArray(), Cancelled);

        _wire.Arrived.SetResult($"HTTP/1.1 {status}\r\nContent-Length: 8192\r\n\r\n{new string('p', 8192)}");

        Assert.Equal(buffer.Length, await ahead);
        Assert.StartsWith($"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 8192\r\n\r\n", Encoding.ASCII.GetString(buffer), StringComparison.Ordinal);
        Assert.True(_upload.IsRefused);
        await _watch.WriteAsync("dropped"u8.ToArray(), Cancelled);
        Assert.Equal("headers", _wire.Written);
    }

    [Fact]
    public async Task Connection_whose_origin_has_the_whole_body_is_used_again_whatever_it_answers()
    {
        await _watch.WriteAsync("headers"u8.ToArray(), Cancelled);
        _upload.Finish();
        await _watch.WriteAsync("body"u8.ToArray(), Cancelled);
        const string Answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

        _wire.Arrived.SetResult(Answer);

        var buffer = new byte[4096];
        Assert.Equal(Answer, Encoding.ASCII.GetString(buffer, 0, await _watch.ReadAsync(buffer, Cancelled)));
        Assert.False(_upload.IsRefused);
    }

    [Fact]
    public async Task Refusal_comes_after_an_interim_answer()
    {
        await _watch.WriteAsync("headers"u8.ToArray(), Cancelled);

        _wire.Arrived.SetResult("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");

        var buffer = new byte[4096];
        Assert.Equal(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            Encoding.ASCII.GetString(buffer, 0, await _watch.ReadAsync(buffer, Cancelled)));
        Assert.Equal(403, _upload.RefusedStatus);
    }

    [Fact]
    public async Task Body_of_a_refused_length_is_filled_up_if_little_is_left_of_it()
    {
        const int Length = 10_000_000;
        await using var body = new UploadBody(new MemoryStream(new byte[1000]), Length, _upload);
        _upload.Refuse(413);

        var (total, buffer) = (0, new byte[64 * 1024]);
        while (await body.ReadAsync(buffer, Cancelled) is > 0 and var count)
        {
            total += count;
        }

        Assert.Equal(Length, total);
    }

    [Fact]
    public async Task Body_of_a_refused_length_is_not_filled_up_for_ever_nor_after_its_request()
    {
        await using var endless = new UploadBody(Stream.Null, long.MaxValue, _upload);
        await using var over = new UploadBody(Stream.Null, 1000, _upload);
        _upload.Refuse(413);

        await Assert.ThrowsAsync<IOException>(async () => await endless.ReadExactlyAsync(new byte[100], Cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await over.ReadExactlyAsync(new byte[100], new CancellationToken(canceled: true)));
    }

    /// <summary>A connection whose origin answers once, and takes bytes as long as it is not stuck.</summary>
    private sealed class Wire : IConnectionBytes
    {
        private readonly StringBuilder _written = new();

        public TaskCompletionSource<string> Arrived { get; } = new();

        public TaskCompletionSource? Stuck { get; set; }

        public string Written => _written.ToString();

        public async ValueTask<int> ReadBytesAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            var text = await Arrived.Task.WaitAsync(cancellationToken);
            return Encoding.ASCII.GetBytes(text.AsSpan(0, Math.Min(text.Length, buffer.Length)), buffer.Span);
        }

        public async ValueTask WriteBytesAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
        {
            if (Stuck is { } stuck)
            {
                await stuck.Task.WaitAsync(cancellationToken);
            }

            _written.Append(Encoding.ASCII.GetString(buffer.Span));
        }
    }
}
