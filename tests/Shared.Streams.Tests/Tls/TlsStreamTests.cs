using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using Shared.Streams.Memory;
using Shared.Streams.Tests.Conformance;
using Shared.Streams.Tls;

namespace Shared.Streams.Tests.Tls;

/// <summary>TLS over memory, so that a test can look and write underneath it.</summary>
public sealed class TlsStreamTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task End_without_close_notify_is_a_truncation()
    {
        var (client, server, _, underServer) = await ConnectAsync();
        await using var __ = client;
        await using var ___ = server;
        await server.WriteAsync(new byte[10], Cancelled);
        await underServer.CompleteWritesAsync(Cancelled);

        Assert.Equal(10, await ReadAsync(client, 100));
        var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => ReadAsync(client, 100));

        Assert.Equal((AbortCode.Truncated, true), (abort.Reason.Code, abort.ByPeer));
        var again = await Assert.ThrowsAsync<StreamAbortedException>(() => ReadAsync(client, 100));
        Assert.Equal(AbortCode.Truncated, again.Reason.Code);
    }

    [Fact]
    public async Task End_in_the_middle_of_a_record_is_a_truncation()
    {
        var (client, server, _, underServer) = await ConnectAsync();
        await using var __ = client;
        await using var ___ = server;

        // Application data, TLS 1.2 on the wire, 100 bytes announced (RFC 8446 section 5.2), 3 sent.
        await underServer.WriteAsync(new byte[] { 23, 3, 3, 0, 100, 1, 2, 3 }, Cancelled);
        await underServer.CompleteWritesAsync(Cancelled);

        var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => ReadAsync(client, 100));
        Assert.Equal((AbortCode.Truncated, true), (abort.Reason.Code, abort.ByPeer));
    }

    [Fact]
    public async Task Whatever_comes_behind_a_close_notify_is_not_read_and_holds_nobody_up()
    {
        var (client, server, _, underServer) = await ConnectAsync();
        await using var __ = client;
        await using var ___ = server;
        var sent = RandomNumberGenerator.GetBytes(512 * 1024);
        var sending = Task.Run(async () =>
        {
            await server.WriteAsync(sent, Cancelled);
            await server.Session.ShutdownAsync();
            await underServer.WriteAsync(new byte[256 * 1024], Cancelled);
            await underServer.CompleteWritesAsync(Cancelled);
        }, Cancelled);

        // With a large buffer several records are taken at once, and what is behind them is here before it is looked at.
        var received = new MemoryStream();
        var buffer = new byte[64 * 1024];
        while (await client.ReadAsync(buffer, Cancelled).AsTask().WaitAsync(Patience, Cancelled) is > 0 and var count)
        {
            await received.WriteAsync(buffer.AsMemory(0, count), Cancelled);
        }

        Assert.Equal(sent, received.ToArray());
        client.Abort(StreamAbort.Dropped);
        await Record.ExceptionAsync(() => sending);
    }

    [Fact]
    public async Task Bytes_that_are_no_record_are_a_protocol_error_and_abort_what_is_underneath()
    {
        var (client, server, _, underServer) = await ConnectAsync();
        await using var __ = client;
        await using var ___ = server;

        var record = new byte[105];
        RandomNumberGenerator.Fill(record);
        new byte[] { 23, 3, 3, 0, 100 }.CopyTo(record, 0);
        await underServer.WriteAsync(record, Cancelled);

        var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => ReadAsync(client, 100));
        Assert.Equal((AbortCode.ProtocolError, true), (abort.Reason.Code, abort.ByPeer));
        await Assert.ThrowsAsync<StreamAbortedException>(() => underServer.WriteAsync(new byte[1], Cancelled).AsTask());
    }

    [Fact]
    public async Task Certificate_that_is_not_trusted_fails_the_handshake_and_aborts_what_is_underneath()
    {
        var (near, far) = MemoryDuplexStream.CreatePair();
        var accepting = TlsStream.AcceptAsync(far, new SslServerAuthenticationOptions { ServerCertificate = TestCertificate.Localhost }, Cancelled);

        await Assert.ThrowsAsync<AuthenticationException>(() =>
            TlsStream.ConnectAsync(near, new SslClientAuthenticationOptions { TargetHost = "localhost" }, Cancelled));

        // The server may have finished before the client looked at the certificate; then its stream is aborted.
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await using var server = await accepting.WaitAsync(Patience, Cancelled);
            await ReadAsync(server, 1);
        });
        await Assert.ThrowsAsync<StreamAbortedException>(() => near.WriteAsync(new byte[1], Cancelled).AsTask());
    }

    [Fact]
    public async Task Handshake_with_a_peer_that_speaks_no_TLS_fails()
    {
        var (near, far) = MemoryDuplexStream.CreatePair();
        await far.WriteAsync("SSH-2.0-OpenSSH_9.2p1\r\n"u8.ToArray(), Cancelled);

        await Assert.ThrowsAnyAsync<Exception>(() =>
            TlsStream.ConnectAsync(near, new SslClientAuthenticationOptions { TargetHost = "localhost" }, Cancelled));

        await Assert.ThrowsAsync<StreamAbortedException>(() => far.WriteAsync(new byte[1], Cancelled).AsTask());
    }

    [Fact]
    public async Task Handshake_with_a_silent_peer_ends_with_its_token()
    {
        var (near, far) = MemoryDuplexStream.CreatePair();
        using var cancellation = new CancellationTokenSource();
        var connecting = TlsStream.ConnectAsync(near, new SslClientAuthenticationOptions { TargetHost = "localhost" }, cancellation.Token);

        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connecting.WaitAsync(Patience, Cancelled));
        await Assert.ThrowsAsync<StreamAbortedException>(() => far.WriteAsync(new byte[1], Cancelled).AsTask());
    }

    [Fact]
    public async Task Abort_underneath_keeps_its_reason()
    {
        var (client, server, _, underServer) = await ConnectAsync();
        await using var __ = client;
        await using var ___ = server;

        underServer.Abort(new StreamAbort(AbortCode.Revoked, "why"));

        var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => ReadAsync(client, 1));
        Assert.Equal((new StreamAbort(AbortCode.Revoked, "why"), true), (abort.Reason, abort.ByPeer));
        var ours = await Assert.ThrowsAsync<StreamAbortedException>(() => ReadAsync(server, 1));
        Assert.Equal((new StreamAbort(AbortCode.Revoked, "why"), false), (ours.Reason, ours.ByPeer));
    }

    [Fact]
    public async Task Ending_while_records_are_being_read_never_breaks_the_session()
    {
        // The session is used by the reader and by the ender at the same time, as often as can be made to happen.
        for (var round = 0; round < 600; round++)
        {
            var (client, server, _, _) = await ConnectAsync();
            await using var __ = client;
            await using var ___ = server;
            var writing = Task.Run(
                async () =>
                {
                    for (var i = 0; i < 200; i++)
                    {
                        await server.WriteAsync(new byte[100], Cancelled);
                    }

                    await server.CompleteWritesAsync(Cancelled);
                },
                Cancelled);
            var bytes = 0;
            var reading = Task.Run(
                async () =>
                {
                    while (await ReadAsync(client, 1000) is > 0 and var count)
                    {
                        bytes += count;
                    }
                },
                Cancelled);

            // A little later each time, into the midst of the records.
            Thread.SpinWait(round % 60 * 200);
            await client.CompleteWritesAsync(Cancelled);

            await Task.WhenAll(writing, reading).WaitAsync(Patience, Cancelled);
            Assert.Equal(20_000, bytes);
            Assert.Equal(0, await ReadAsync(server, 1));
        }
    }

    private static Task<int> ReadAsync(DuplexStream stream, int size) =>
        stream.ReadAsync(new byte[size], CancellationToken.None).AsTask().WaitAsync(Patience, Cancelled);

    private static async Task<(TlsStream Client, TlsStream Server, DuplexStream UnderClient, DuplexStream UnderServer)> ConnectAsync()
    {
        var (near, far) = MemoryDuplexStream.CreatePair();
        var accepting = TlsStream.AcceptAsync(far, new SslServerAuthenticationOptions { ServerCertificate = TestCertificate.Localhost }, Cancelled);
        var client = await TlsStream.ConnectAsync(near, TestCertificate.Trust.ClientOptions("localhost"), Cancelled).WaitAsync(Patience, Cancelled);
        return (client, await accepting, near, far);
    }
}
