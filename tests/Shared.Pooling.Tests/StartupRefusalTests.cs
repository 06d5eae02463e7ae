using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using Npgsql;
using Shared.Pooling.Postgres;
using Shared.Streams.Dialing;
using Shared.Streams.Sockets;

namespace Shared.Pooling.Tests;

public sealed class StartupRefusalTests : IAsyncDisposable
{
    private static readonly DialException Offline = new(Hop.Connector, "offline", "No connector is online for orders-db.");

    // Time does not pass: what is answered or reset is so at once.
    private readonly FakeTimeProvider _time = new();
    private readonly StreamListener _listener = StreamListener.Bind(ListenAddress.Parse("127.0.0.1:0"));

    [Theory]
    [InlineData("Disable")]
    [InlineData("Prefer")]
    public async Task Driver_gets_the_reason_as_a_PostgreSQL_error(string sslMode)
    {
        await using var refusing = RefuseAll(Offline);
        await using var connection = new NpgsqlConnection($"Host=127.0.0.1;Port={Port};Username=app;Pooling=false;Timeout=60;SSL Mode={sslMode}");

        var exception = await Assert.ThrowsAsync<PostgresException>(() => connection.OpenAsync(TestContext.Current.CancellationToken));

        Assert.Equal("08006", exception.SqlState);
        Assert.Equal("FATAL", exception.Severity);
        Assert.Equal("tunnel: No connector is online for orders-db.", exception.MessageText);
    }

    [Theory]
    [InlineData("token-refused", "28000")]
    [InlineData("limited", "53300")]
    [InlineData("draining", "08006")]
    public async Task Code_becomes_the_SQLSTATE_that_users_expect(string code, string sqlState)
    {
        await using var refusing = RefuseAll(new DialException(Hop.Ingress, code, "y"));
        await using var connection = new NpgsqlConnection($"Host=127.0.0.1;Port={Port};Username=app;Pooling=false;Timeout=60");

        var exception = await Assert.ThrowsAsync<PostgresException>(() => connection.OpenAsync(TestContext.Current.CancellationToken));

        Assert.Equal(sqlState, exception.SqlState);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(8)]
    [InlineData(10_001)]
    [InlineData(int.MaxValue)]
    [InlineData(int.MinValue)]
    [InlineData(-1)]
    public async Task Impossible_startup_length_is_a_reset_at_once(int length)
    {
        var startup = new byte[8];
        BinaryPrimitives.WriteInt32BigEndian(startup, length);
        BinaryPrimitives.WriteInt32BigEndian(startup.AsSpan(4), 3 << 16);

        await AssertResetAsync(startup);
    }

    [Fact]
    public async Task Something_that_is_not_PostgreSQL_is_a_reset() => await AssertResetAsync("GET / HTTP/1.1\r\n\r\n"u8.ToArray());

    [Fact]
    public async Task Cancel_request_is_a_reset()
    {
        var cancel = new byte[16];
        BinaryPrimitives.WriteInt32BigEndian(cancel, 16);
        BinaryPrimitives.WriteInt32BigEndian(cancel.AsSpan(4), 80877102);
        await AssertResetAsync(cancel);
    }

    public ValueTask DisposeAsync() => _listener.DisposeAsync();

    private int Port => _listener.LocalAddress.IPEndPoint!.Port;

    // A driver that was refused with encryption on offer tries again without.
    private Refusing RefuseAll(DialException failure)
    {
        var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        return new Refusing(stop, AcceptLoop.RunAsync(
            _listener,
            new AcceptBudget(100, 100, static (_, _, _) => Assert.Fail("there is room")),
            (accepted, stopped) => StartupRefusal.AnswerAsync(accepted.Stream, failure, _time, stopped),
            static exception => Assert.Fail(exception.ToString()),
            TimeProvider.System,
            stop.Token));
    }

    private async Task RefuseAsync(DialException failure)
    {
        var accepted = await _listener.AcceptAsync(TestContext.Current.CancellationToken);
        await StartupRefusal.AnswerAsync(accepted.Stream, failure, _time, TestContext.Current.CancellationToken);
    }

    private async Task AssertResetAsync(byte[] first)
    {
        var refusing = RefuseAsync(Offline);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, Port), TestContext.Current.CancellationToken);
        await socket.SendAsync(first, TestContext.Current.CancellationToken);

        var exception = await Assert.ThrowsAsync<SocketException>(
            async () => await socket.ReceiveAsync(new byte[1], TestContext.Current.CancellationToken));

        await refusing;
        Assert.Equal(SocketError.ConnectionReset, exception.SocketErrorCode);
    }

    private sealed class Refusing(CancellationTokenSource stop, Task loop) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await stop.CancelAsync();
            await loop;
            stop.Dispose();
        }
    }
}
