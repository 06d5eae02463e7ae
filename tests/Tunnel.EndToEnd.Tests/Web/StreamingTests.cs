using System.Net;
using System.Net.WebSockets;
using System.Text;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests.Web;

/// <summary>What takes long on purpose: events, WebSockets, long polls, and clients that leave in the middle.</summary>
[Collection(WebCollection.Name)]
public sealed class StreamingTests(WebFixture fixture)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("app", "1.1")]
    [InlineData("app", "2.0")]
    [InlineData("secure", "2.0")]
    public async Task Events_arrive_one_by_one(string service, string version)
    {
        using var client = fixture.Client();
        using var request = Request(HttpMethod.Get, service, "/events", version);
        using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancelled).WaitAsync(Patience, Cancelled);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(Cancelled));

        // The next event is not even made before the one before it has arrived.
        for (var i = 0; i < 20; i++)
        {
            fixture.App.Events.Writer.TryWrite($"event {i}");
            Assert.Equal($"data: event {i}", await reader.ReadLineAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled));
            Assert.Equal("", await reader.ReadLineAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        }

        fixture.App.Events.Writer.TryWrite("");
        Assert.Null(await reader.ReadLineAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled));
    }

    [Theory]
    [InlineData("app", "1.1")]
    [InlineData("app", "2.0")]
    [InlineData("secure", "1.1")]
    [InlineData("secure", "2.0")]
    public async Task WebSocket_echoes_ten_thousand_messages(string service, string version)
    {
        const int Messages = 10_000;
        using var socket = await ConnectAsync(service, version);
        Assert.Equal("chat", socket.SubProtocol);
        var sending = Task.Run(
            async () =>
            {
                for (var i = 0; i < Messages; i++)
                {
                    await socket.SendAsync(Encoding.ASCII.GetBytes($"message {i}"), WebSocketMessageType.Text, endOfMessage: true, Cancelled);
                }
            },
            Cancelled);
        var buffer = new byte[100];
        for (var i = 0; i < Messages; i++)
        {
            var received = await socket.ReceiveAsync(buffer.AsMemory(), Cancelled).AsTask().WaitAsync(Patience, Cancelled);
            Assert.True(received.EndOfMessage);
            Assert.Equal($"message {i}", Encoding.ASCII.GetString(buffer, 0, received.Count));
        }

        await sending;
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "done", Cancelled).WaitAsync(Patience, Cancelled);
        Assert.Equal("bye", socket.CloseStatusDescription);
    }

    [Theory]
    [InlineData("app", "1.1", "/hang")]
    [InlineData("app", "1.1", "/hang?started")]
    [InlineData("app", "2.0", "/hang?started")]
    [InlineData("secure", "2.0", "/hang")]
    [InlineData("secure", "1.1", "/hang?started")]
    public async Task Client_that_leaves_is_noticed_by_the_origin(string service, string version, string path)
    {
        using var client = fixture.Client();
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        using var request = Request(HttpMethod.Get, service, path, version);
        var asking = client.SendAsync(request, HttpCompletionOption.ResponseContentRead, leave.Token);
        Assert.Equal("begun", await fixture.App.Hangs.Reader.ReadAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled));

        await leave.CancelAsync();

        Assert.Equal("aborted", await fixture.App.Hangs.Reader.ReadAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);

        // And what others get afterwards is theirs.
        Assert.Equal("late", await client.GetStringAsync(fixture.UriOf(service, "/wait/1"), Cancelled));
    }

    [Fact]
    public async Task Long_poll_outlives_what_others_are_given_to_be_silent()
    {
        await fixture.SetAsync("silent", "--idle-timeout", "1s");
        await fixture.SetAsync("app", "--idle-timeout", "1h");
        await fixture.UntilStateIsReadAsync();
        using var client = fixture.Client();

        var poll = client.GetStringAsync(fixture.UriOf("app", "/wait/4000"), Cancelled);
        using var silent = await client.GetAsync(fixture.UriOf("silent"), Cancelled);

        Assert.Equal(HttpStatusCode.GatewayTimeout, silent.StatusCode);
        Assert.Equal("late", await poll);
    }

    [Theory]
    [InlineData("page", "/trailers/x.css")]
    [InlineData("secure", "/trailers")]
    public async Task Trailers_of_an_answer_in_chunks_arrive_over_HTTP2(string service, string path)
    {
        using var client = fixture.Client();
        using var request = Request(HttpMethod.Get, service, path, "2.0");
        request.Headers.TE.ParseAdd("trailers");

        using var answer = await client.SendAsync(request, Cancelled);

        Assert.Equal("body", await answer.Content.ReadAsStringAsync(Cancelled));
        Assert.Equal("4711", Assert.Single(answer.TrailingHeaders.GetValues("X-Checksum")));
    }

    [Fact]
    public async Task Both_directions_flow_at_once_where_the_origin_speaks_HTTP2()
    {
        using var client = fixture.Client();
        using var request = Request(HttpMethod.Post, "secure", "/echo", "2.0");
        using var content = new PatternContent(200_000_000, isChunked: true);
        request.Content = content;

        using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancelled);
        var (length, hash) = await PatternContent.HashAsync(await answer.Content.ReadAsStreamAsync(Cancelled), Cancelled);

        Assert.Equal((200_000_000L, content.Hash()), (length, hash));
    }

    /// <summary>A gigabyte wants to go to a client that reads none of it: it stays where it is.</summary>
    [Fact]
    public async Task Client_that_stops_reading_costs_bounded_memory_and_time()
    {
        await using var tls = await fixture.ConnectAsync(TunnelCluster.HostnameOf("slow"));
        var before = fixture.Cluster.Ingress.ResidentBytes + fixture.Cluster.Connectors[^1].ResidentBytes;
        await tls.WriteAsync(Encoding.ASCII.GetBytes($"GET /bytes/1073741824 HTTP/1.1\r\nHost: {TunnelCluster.HostnameOf("slow")}\r\n\r\n"), Cancelled);
        await tls.ReadExactlyAsync(new byte[1000], Cancelled);

        // The ingress gives up on it by itself, and says so.
        await fixture.Cluster.Ingress.WaitForAsync("RequestFailed", static seen => seen["Path"] == "/bytes/1073741824");

        var after = fixture.Cluster.Ingress.ResidentBytes + fixture.Cluster.Connectors[^1].ResidentBytes;
        Assert.InRange(after - before, long.MinValue, 200L * 1024 * 1024);
    }

    [Fact]
    public async Task Client_that_sends_slowly_is_answered_and_cut()
    {
        await using var tls = await fixture.ConnectAsync(TunnelCluster.HostnameOf("open-app"));
        await tls.WriteAsync(Encoding.ASCII.GetBytes($"POST /hash HTTP/1.1\r\nHost: {TunnelCluster.HostnameOf("open-app")}\r\nContent-Length: 100000\r\n\r\nx"), Cancelled);

        using var reader = new StreamReader(tls, Encoding.Latin1);
        var status = await reader.ReadLineAsync(Cancelled).AsTask().WaitAsync(TimeSpan.FromSeconds(120), Cancelled);

        Assert.Equal("HTTP/1.1 408 Request Timeout", status);
        var rest = await reader.ReadToEndAsync(Cancelled).WaitAsync(Patience, Cancelled);
        Assert.Contains("Tunnel-Error: ingress/bad-request", rest, StringComparison.Ordinal);
    }

    private async Task<ClientWebSocket> ConnectAsync(string service, string version)
    {
        var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("CF-Access-Client-Id", fixture.Token.Id);
        socket.Options.SetRequestHeader("CF-Access-Client-Secret", fixture.Token.Secret);
        socket.Options.AddSubProtocol("chat");
        socket.Options.HttpVersion = new Version(version);
        socket.Options.HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        using var invoker = new HttpMessageInvoker(fixture.Handler(), disposeHandler: false);
        await socket.ConnectAsync(new UriBuilder(fixture.UriOf(service, "/socket")) { Scheme = "wss" }.Uri, invoker, Cancelled);
        return socket;
    }

    private HttpRequestMessage Request(HttpMethod method, string service, string path, string version) =>
        new(method, fixture.UriOf(service, path)) { Version = new Version(version), VersionPolicy = HttpVersionPolicy.RequestVersionExact };
}
