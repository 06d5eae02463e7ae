using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Shared.Streams.Access;
using Shared.Streams.Dialing;
using Shared.Streams.Memory;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using Shared.Streams.Sockets;
using Shared.Streams.Tests.Conformance;
using Shared.Streams.Tls;

namespace Shared.Streams.Tests.Dialing;

/// <summary>Streams to a tunnel hostname whose ingress drains carriers, or changes its mind about them. The real one is in the end-to-end tests.</summary>
public sealed class TunnelDialerTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentQueue<Multiplexer> _carriers = new();
    private readonly ConcurrentQueue<Task> _serving = new();
    private readonly TunnelDialer _dialer;

    public TunnelDialerTests()
    {
        _listener.Start();
        _dialer = DialerOf("localhost", TestCertificate.Trust);
    }

    public static TheoryData<string, X509Certificate2, string> Rejected => new()
    {
        {
            "localhost", TestCertificate.Localhost,
            "localhost does not verify: no trusted CA has signed it, but CN=localhost. Name the PEM file of its CA in --ca-file (CaFile)."
        },
        {
            "elsewhere.example", TestCertificate.Localhost,
            "elsewhere.example does not verify: it is for localhost, 127.0.0.1 only; no trusted CA has signed it, but CN=localhost. "
            + "Use a name that it carries. Name the PEM file of its CA in --ca-file (CaFile)."
        },
        {
            "localhost", TestCertificate.Create("localhost", new DateTimeOffset(2020, 2, 3, 4, 5, 6, TimeSpan.Zero)),
            "localhost does not verify: it expired at 2020-02-03 04:05 UTC; no trusted CA has signed it, but CN=localhost. "
            + "Renew it, or set the clock of this machine. Name the PEM file of its CA in --ca-file (CaFile)."
        },
    };

    [Theory]
    [MemberData(nameof(Rejected), DisableDiscoveryEnumeration = true)]
    public async Task Certificate_that_does_not_verify_is_refused_with_what_is_wrong_and_what_to_do(string hostname, X509Certificate2 shown, string expected)
    {
        _serving.Enqueue(ForEachConnectionAsync(async socket => await TlsStream.AcceptAsync(
            SocketStream.Over(socket), new SslServerAuthenticationOptions { ServerCertificate = shown }, Cancelled)));

        await using var dialer = DialerOf(hostname, CertificateTrust.System.ChosenBy("--ca-file (CaFile)"));
        var refused = await Assert.ThrowsAsync<DialException>(async () => await dialer.DialAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        Assert.Equal((Hop.Tls, "certificate-not-trusted"), (refused.Hop, refused.Code));
        Assert.Equal($"The certificate of {expected}", refused.Message);

        var direct = new TlsDialer(new TcpDialer("127.0.0.1", Port, Patience, TimeProvider.System), hostname, CertificateTrust.System.ChosenBy("--ca-file (CaFile)"), Patience, TimeProvider.System);
        Assert.Equal(refused.Message, (await Assert.ThrowsAsync<DialException>(async () => await direct.DialAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled))).Message);
    }

    [Theory]
    [InlineData("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")]
    [InlineData("")]
    public async Task Port_that_speaks_no_TLS_has_no_certificate_to_trust(string answer)
    {
        _serving.Enqueue(ForEachConnectionAsync(async socket =>
        {
            using (socket)
            {
                await socket.ReceiveAsync(new byte[4096], Cancelled);
                await socket.SendAsync(Encoding.ASCII.GetBytes(answer), Cancelled);
                socket.Shutdown(SocketShutdown.Send);
                while (await socket.ReceiveAsync(new byte[4096], Cancelled) > 0)
                {
                }
            }
        }));

        var direct = new TlsDialer(new TcpDialer("127.0.0.1", Port, Patience, TimeProvider.System), "localhost", CertificateTrust.System, Patience, TimeProvider.System);
        foreach (var dialer in new IDialer[] { _dialer, direct })
        {
            var refused = await Assert.ThrowsAsync<DialException>(async () => await dialer.DialAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled));
            Assert.Equal((Hop.Tls, "handshake-failed"), (refused.Hop, refused.Code));
            Assert.EndsWith(". Is that a TLS port?", refused.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("..", refused.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("inner exception", refused.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("certificate", refused.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Carrier_that_breaks_while_a_stream_is_opened_is_told_in_one_sentence()
    {
        _serving.Enqueue(ForEachConnectionAsync(async socket =>
        {
            await using var carrier = await TakeCarrierAsync(socket);
            await carrier.ReadAsync(new byte[1], Cancelled);
            carrier.Abort(StreamAbort.Reset);
        }));

        var lost = await Assert.ThrowsAsync<DialException>(OpenAsync);

        Assert.Equal((Hop.Ingress, "lost"), (lost.Hop, lost.Code));
        Assert.EndsWith(").", lost.Message, StringComparison.Ordinal);
    }

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        _listener.Stop();
        await _dialer.DisposeAsync();
        await Task.WhenAll(_serving).ContinueWith(static _ => { }, TaskScheduler.Default).WaitAsync(Patience);
        _listener.Dispose();
    }

    [Fact]
    public async Task Streams_that_hold_drained_carriers_keep_no_other_from_a_new_one()
    {
        _serving.Enqueue(AcceptForEverAsync());
        var held = new List<TunnelStream>();
        while (_carriers.Count < 2 || _carriers.Any(static carrier => carrier.StreamCount == 0))
        {
            held.Add(await OpenAsync());
        }

        foreach (var carrier in _carriers)
        {
            carrier.Drain();
        }

        // However many cross the drain.
        for (var i = 0; i < 20; i++)
        {
            held.Add(await OpenAsync());
        }

        Assert.InRange(_carriers.Count, 3, 5);
        foreach (var stream in held)
        {
            await stream.Stream.WriteAsync("x"u8.ToArray(), Cancelled);
            await stream.Stream.DisposeAsync();
        }
    }

    [Fact]
    public async Task What_was_said_to_a_carrier_that_took_no_stream_goes_to_the_WebSocket_that_did()
    {
        var (application, ours) = MemoryDuplexStream.CreatePair();
        await application.WriteAsync("startup"u8.ToArray(), Cancelled);
        var early = new EarlyData(ours);
        var opening = _dialer.OpenAsync(early, Cancelled).AsTask();

        // An ingress that stops: it has seen nothing of the stream.
        await using var draining = await TakeCarrierAsync(await AcceptAsync());
        var seen = new byte[4096];
        for (var count = 0; seen.AsSpan(0, count).IndexOf("startup"u8) < 0;)
        {
            count += await draining.ReadAsync(seen.AsMemory(count), Cancelled);
        }

        var drain = new byte[FrameHeader.Size];
        new FrameHeader(0, FrameType.Drain, 0).Write(drain);
        await draining.WriteAsync(drain, Cancelled);

        // Its successor, behind something that ends the TLS session. The dialer hangs up as soon as it sees that, also before we are done.
        var declined = await AcceptAsync();
        await Record.ExceptionAsync(async () => await (await AuthenticateAsync(declined, SslApplicationProtocol.Http11)).DisposeAsync());

        using var webSocket = await UpgradeAsync(await AuthenticateAsync(await AcceptAsync(), SslApplicationProtocol.Http11));
        await using var opened = (await opening.WaitAsync(Patience, Cancelled)).Stream;
        var message = await webSocket.ReceiveAsync(seen.AsMemory(), Cancelled).AsTask().WaitAsync(Patience, Cancelled);
        Assert.Equal("startup", Encoding.ASCII.GetString(seen.AsSpan(0, message.Count)));
        opened.Abort(StreamAbort.Dropped);
        await application.DisposeAsync();
    }

    private async Task<TunnelStream> OpenAsync() => await _dialer.OpenAsync(early: null, Cancelled).AsTask().WaitAsync(Patience, Cancelled);

    private int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    private TunnelDialer DialerOf(string hostname, CertificateTrust trust) => new(hostname, Port, new WebSocketDialerOptions
    {
        Token = new FixedServiceToken(new ServiceToken("id", "secret")),
        Trust = trust,
        ConnectTo = new HostAndPort("127.0.0.1", Port),
    });

    private async Task ForEachConnectionAsync(Func<Socket, Task> serve)
    {
        while (true)
        {
            // The dialer hangs up as soon as it has seen enough.
            var socket = await AcceptAsync();
            await Record.ExceptionAsync(() => serve(socket));
        }
    }

    private async Task AcceptForEverAsync()
    {
        while (true)
        {
            var carrier = await TakeCarrierAsync(await AcceptAsync());
            var multiplexer = new Multiplexer(carrier, TimeProvider.System, static incoming => incoming.Accept("id"));
            _carriers.Enqueue(multiplexer);
            _serving.Enqueue(multiplexer.RunAsync());
        }
    }

    private Task<Socket> AcceptAsync() => _listener.AcceptSocketAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled);

    private static async Task<TlsStream> TakeCarrierAsync(Socket socket)
    {
        var carrier = await TlsStream.AcceptAsync(
            SocketStream.Over(socket), CarrierTls.Server(SslStreamCertificateContext.Create(TestCertificate.Localhost, null)), Cancelled);
        Assert.True(Assert.IsType<AccessHostname>(await CarrierHandshake.ReceiveAsync(carrier, Cancelled)).Knows("leaving"));
        await CarrierHandshake.SendAsync(carrier, new Joined(), Cancelled);
        return carrier;
    }

    private static async Task<SslStream> AuthenticateAsync(Socket socket, SslApplicationProtocol protocol)
    {
        var tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
        await tls.AuthenticateAsServerAsync(
            new SslServerAuthenticationOptions { ServerCertificate = TestCertificate.Localhost, ApplicationProtocols = [protocol] }, Cancelled);
        return tls;
    }

    [SuppressMessage("Security", "CA5350", Justification = "The protocol says which hash.")]
    private static async Task<WebSocket> UpgradeAsync(SslStream tls)
    {
        using var reader = new StreamReader(tls, Encoding.ASCII, detectEncodingFromByteOrderMarks: false, bufferSize: 1, leaveOpen: true);
        var key = "";
        while (await reader.ReadLineAsync(Cancelled) is { Length: > 0 } line)
        {
            key = line.StartsWith("Sec-WebSocket-Key:", StringComparison.OrdinalIgnoreCase) ? line.Split(':')[1].Trim() : key;
        }

        // RFC 6455 section 4.2.2.
        var accept = Convert.ToBase64String(SHA1.HashData(Encoding.ASCII.GetBytes(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
        await tls.WriteAsync(
            Encoding.ASCII.GetBytes($"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"), Cancelled);
        return WebSocket.CreateFromStream(tls, new WebSocketCreationOptions { IsServer = true });
    }
}
