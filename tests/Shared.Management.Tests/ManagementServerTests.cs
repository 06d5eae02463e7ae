using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Shared.Streams.Sockets;

namespace Shared.Management.Tests;

/// <summary>What a management address answers, and how it is asked by <see cref="HealthCheck"/>.</summary>
public sealed class ManagementServerTests : IDisposable
{
    private readonly string _meterName = $"tunnel_test_{Guid.NewGuid():N}";
    private readonly string _directory = Directory.CreateTempSubdirectory("tunnel-").FullName;
    private readonly HttpClient _http = new();
    private readonly FakeTimeProvider _time = new();
    private Readiness _readiness = new(true, "ready: quite");

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Nothing_listens_without_an_address() =>
        Assert.Null(await ManagementServer.StartAsync(null, () => throw new InvalidOperationException("nobody asks"), NullLoggerFactory.Instance));

    [Fact]
    public async Task Each_path_has_its_answer_and_readiness_is_asked_anew()
    {
        var (address, server) = await StartAsync("127.0.0.1:0");
        await using (server)
        {
            using var meter = new Meter(_meterName);
            meter.CreateCounter<long>("things").Add(7);

            Assert.Equal((HttpStatusCode.OK, "alive\n"), await GetAsync(address, "/healthz"));
            Assert.Equal((HttpStatusCode.OK, "ready: quite\n"), await GetAsync(address, "/readyz"));
            _readiness = new Readiness(false, "draining");
            Assert.Equal((HttpStatusCode.ServiceUnavailable, "draining\n"), await GetAsync(address, "/readyz"));
            Assert.Equal((HttpStatusCode.OK, "alive\n"), await GetAsync(address, "/healthz"));
            Assert.Contains($"\n{_meterName}_things_total 7\n", (await GetAsync(address, "/metrics")).Text, StringComparison.Ordinal);
            Assert.Equal((HttpStatusCode.NotFound, "There is /healthz, /readyz and /metrics.\n"), await GetAsync(address, "/"));
        }

        await Assert.ThrowsAsync<HttpRequestException>(() => GetAsync(address, "/healthz"));
    }

    [Theory]
    [InlineData("127.0.0.1:0")]
    [InlineData("0.0.0.0:0")]
    [InlineData("[::1]:0")]
    [InlineData("[::]:0")]
    [InlineData("unix:{dir}/management.sock")]
    public async Task Health_check_tells_what_the_address_says(string text)
    {
        var (address, server) = await StartAsync(text);
        await using var _ = server;

        Assert.Equal(new Readiness(true, "ready: quite\n"), await AskAsync(address));
        _readiness = new Readiness(false, "not ready");
        Assert.Equal(new Readiness(false, "not ready\n"), await AskAsync(address));
    }

    [Fact]
    public async Task Every_address_of_IPv6_is_every_address()
    {
        var (address, server) = await StartAsync("[::]:0");
        await using var _ = server;

        Assert.Equal(HttpStatusCode.OK, (await GetAsync(ListenAddress.Of(new IPEndPoint(IPAddress.Loopback, address.IPEndPoint!.Port)), "/healthz")).Status);
    }

    [Fact]
    public async Task Address_that_is_taken_is_named()
    {
        var (address, server) = await StartAsync("127.0.0.1:0");
        await using var _ = server;

        var refused = await Assert.ThrowsAsync<IOException>(() => ManagementServer.StartAsync(address, () => _readiness, NullLoggerFactory.Instance));
        Assert.StartsWith($"Cannot listen on {address}: the address is in use.", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Health_check_says_that_nothing_answers()
    {
        // A port that nobody else is given meanwhile.
        using var bound = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        bound.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var address = ListenAddress.Of((IPEndPoint)bound.LocalEndPoint!);

        var failed = await Assert.ThrowsAsync<IOException>(() => AskAsync(address));
        Assert.StartsWith($"{address} does not answer: Connection refused", failed.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answered 404")]
    [InlineData("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "answered 302")]
    [InlineData("SSH-2.0-OpenSSH\r\n", "does not answer")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 99000000\r\n\r\n", "does not answer")]
    [InlineData("", "did not answer within 2 s")]
    public async Task Health_check_does_not_believe_what_else_listens_there(string answer, string expected)
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var asked = AskAsync(ListenAddress.Of((IPEndPoint)other.LocalEndpoint));
        using var accepted = await other.AcceptSocketAsync(Cancelled);
        await accepted.SendAsync(Encoding.ASCII.GetBytes(answer), Cancelled);
        if (answer.Length == 0)
        {
            _time.Advance(HealthCheck.Timeout);
        }

        Assert.Contains(expected, (await Assert.ThrowsAsync<IOException>(() => asked)).Message, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _http.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private async Task<(ListenAddress Address, ManagementServer Server)> StartAsync(string text)
    {
        var address = ListenAddress.Parse(text.Replace("{dir}", _directory, StringComparison.Ordinal));
        var server = (await ManagementServer.StartAsync(address, () => _readiness, NullLoggerFactory.Instance, _meterName))!;
        return (server.LocalAddress, server);
    }

    /// <summary>Asks, with a time limit that is reached only where a test says so.</summary>
    private Task<Readiness> AskAsync(ListenAddress address) => HealthCheck.AskAsync(address, ManagementPages.Ready, _time, Cancelled);

    private async Task<(HttpStatusCode Status, string Text)> GetAsync(ListenAddress address, string path)
    {
        using var answer = await _http.GetAsync(new Uri($"http://{address}{path}"), Cancelled);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync(Cancelled));
    }
}
