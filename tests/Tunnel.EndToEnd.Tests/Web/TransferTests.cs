using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;

namespace Tunnel.EndToEnd.Tests.Web;

/// <summary>Real transfers with a real nginx, on its Unix socket and on loopback TCP.</summary>
[Collection(WebCollection.Name)]
public sealed class TransferTests(WebFixture fixture)
{
    private const long Gibibyte = 1L << 30;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("page", "1.1")]
    [InlineData("files", "2.0")]
    public async Task Gibibyte_comes_down_as_it_is(string service, string version)
    {
        using var content = new PatternContent(Gibibyte);
        var file = Path.Combine(fixture.Nginx.Root, "large.bin");
        await using (var written = File.Create(file))
        {
            await content.WriteToAsync(written, Cancelled);
        }

        using var client = fixture.Client();
        using var request = Request(HttpMethod.Get, service, "/large.bin", version);
        using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancelled);
        var (length, hash) = await PatternContent.HashAsync(await answer.Content.ReadAsStreamAsync(Cancelled), Cancelled);
        File.Delete(file);

        Assert.Equal((Gibibyte, content.Hash()), (length, hash));
        Assert.Equal(Gibibyte, answer.Content.Headers.ContentLength);
    }

    [Theory]
    [InlineData("page", "2.0", true)]
    [InlineData("files", "1.1", false)]
    public async Task Gibibyte_goes_up_as_it_is(string service, string version, bool isChunked)
    {
        using var content = new PatternContent(Gibibyte, isChunked);
        using var client = fixture.Client();
        using var request = Request(HttpMethod.Put, service, $"/uploads/{service}.bin", version);
        request.Content = content;

        using var answer = await client.SendAsync(request, Cancelled);

        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        var file = Path.Combine(fixture.Nginx.Uploads, $"{service}.bin");
        await using (var stored = File.OpenRead(file))
        {
            Assert.Equal((Gibibyte, content.Hash()), await PatternContent.HashAsync(stored, Cancelled));
        }

        File.Delete(file);
    }

    [Fact]
    public async Task Range_is_the_part_that_was_asked_for()
    {
        await File.WriteAllTextAsync(Path.Combine(fixture.Nginx.Root, "digits.txt"), "0123456789", Cancelled);
        using var client = fixture.Client();
        using var request = Request(HttpMethod.Get, "page", "/digits.txt", "1.1");
        request.Headers.Range = new RangeHeaderValue(3, 6);

        using var answer = await client.SendAsync(request, Cancelled);

        Assert.Equal(HttpStatusCode.PartialContent, answer.StatusCode);
        Assert.Equal("bytes 3-6/10", answer.Content.Headers.ContentRange!.ToString());
        Assert.Equal("3456", await answer.Content.ReadAsStringAsync(Cancelled));
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Compressed_answer_passes_untouched(string version)
    {
        await File.WriteAllTextAsync(Path.Combine(fixture.Nginx.Root, "style.css"), string.Concat(Enumerable.Repeat("body { color: black; }\n", 2000)), Cancelled);
        using var client = fixture.Client();
        using var request = Request(HttpMethod.Get, "page", "/style.css", version);
        request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("gzip"));

        using var answer = await client.SendAsync(request, Cancelled);
        var through = await answer.Content.ReadAsByteArrayAsync(Cancelled);
        using var directly = new HttpClient();
        directly.DefaultRequestHeaders.AcceptEncoding.Add(new StringWithQualityHeaderValue("gzip"));
        var direct = await directly.GetByteArrayAsync(new Uri($"http://127.0.0.1:{fixture.Nginx.Port}/style.css"), Cancelled);

        Assert.Equal(["gzip"], answer.Content.Headers.ContentEncoding);
        Assert.Equal(direct, through);
        Assert.InRange(through.Length, 1, 10_000);
    }

    [Fact]
    public async Task Head_has_the_headers_and_no_body()
    {
        await File.WriteAllTextAsync(Path.Combine(fixture.Nginx.Root, "head.txt"), "0123456789", Cancelled);
        using var client = fixture.Client();
        using var request = Request(HttpMethod.Head, "page", "/head.txt", "1.1");

        using var answer = await client.SendAsync(request, Cancelled);

        Assert.Equal((HttpStatusCode.OK, 10L), (answer.StatusCode, answer.Content.Headers.ContentLength));
        Assert.Empty(await answer.Content.ReadAsByteArrayAsync(Cancelled));
    }

    /// <summary>As curl does it: it sends, and watches for an answer meanwhile.</summary>
    [Theory]
    [InlineData("page", true)]
    [InlineData("page", false)]
    [InlineData("files", true)]
    [InlineData("files", false)]
    public async Task Body_that_the_origin_refuses_in_the_middle_is_answered_by_the_origin(string service, bool isChunked)
    {
        const int Size = 100_000_000;
        await using var tls = await fixture.ConnectAsync(Tunnel.Testing.TunnelCluster.HostnameOf(service));
        var framing = isChunked ? "Transfer-Encoding: chunked" : $"Content-Length: {Size}";
        await tls.WriteAsync(
            Encoding.ASCII.GetBytes(
                $"PUT /small/{service}.bin HTTP/1.1\r\nHost: {Tunnel.Testing.TunnelCluster.HostnameOf(service)}\r\n"
                + $"CF-Access-Client-Id: {fixture.Token.Id}\r\nCF-Access-Client-Secret: {fixture.Token.Secret}\r\n{framing}\r\n\r\n"),
            Cancelled);
        var sending = SendAsync(tls, Size, isChunked);

        var answer = new StreamReader(tls, Encoding.Latin1);
        var status = await answer.ReadLineAsync(Cancelled).AsTask().WaitAsync(TimeSpan.FromSeconds(120), Cancelled);

        Assert.Equal("HTTP/1.1 413 Request Entity Too Large", status);
        tls.Close();
        await sending;
    }

    private static async Task SendAsync(Stream stream, int size, bool isChunked)
    {
        var block = new byte[64 * 1024];
        var head = Encoding.ASCII.GetBytes($"{block.Length:x}\r\n");
        try
        {
            for (var sent = 0; sent < size; sent += block.Length)
            {
                if (isChunked)
                {
                    await stream.WriteAsync(head);
                }

                await stream.WriteAsync(block.AsMemory(0, Math.Min(block.Length, size - sent)));
                if (isChunked)
                {
                    await stream.WriteAsync("\r\n"u8.ToArray());
                }
            }
        }
        catch (Exception exception) when (exception is IOException or SocketException or ObjectDisposedException)
        {
            // The answer has come before the body's end, and the connection was closed.
        }
    }

    private HttpRequestMessage Request(HttpMethod method, string service, string path, string version) =>
        new(method, fixture.UriOf(service, path)) { Version = new Version(version), VersionPolicy = HttpVersionPolicy.RequestVersionExact };
}
