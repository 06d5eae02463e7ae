using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Cryptography;
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
        _dialer = new TunnelDialer("localhost", ((IPEndPoint)_listener.LocalEndpoint).Port, new WebSocketDialerOptions
        {
            Token = new FixedServiceToken(new ServiceToken("id", "secret")),
            Trust = TestCertificate.Trust,
            ConnectTo = new HostAndPort("127.0.0.1", ((IPEndPoint)_listener.LocalEndpoint).Port),
        });
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
        await using var draining = await TakeCarrierAsync();
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

    private async Task AcceptForEverAsync()
    {
        while (true)
        {
            var carrier = await TakeCarrierAsync();
            var multiplexer = new Multiplexer(carrier, TimeProvider.System, static incoming => incoming.Accept("id"));
            _carriers.Enqueue(multiplexer);
            _serving.Enqueue(multiplexer.RunAsync());
        }
    }

    private Task<Socket> AcceptAsync() => _listener.AcceptSocketAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled);

    private async Task<TlsStream> TakeCarrierAsync()
    {
        var carrier = await TlsStream.AcceptAsync(
            SocketStream.Over(await AcceptAsync()), CarrierTls.Server(SslStreamCertificateContext.Create(TestCertificate.Localhost, null)), Cancelled);
        Assert.IsType<AccessHostname>(await CarrierHandshake.ReceiveAsync(carrier, Cancelled));
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
