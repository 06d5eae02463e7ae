using System.Net.WebSockets;
using Shared.Streams.Protocol;
using Shared.Streams.WebSockets;

namespace Shared.Streams.Tests.Conformance.Adapters;

/// <summary>Pairs whose far end was accepted by Kestrel and whose near end dialled, as in production.</summary>
internal static class WebSocketPairs
{
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromMinutes(1);

    private static readonly Lazy<Task<WebSocketServer>> Server = new(WebSocketServer.StartAsync);

    public static Task<StreamPair> ChannelAsync(string scheme) => ConnectAsync(scheme, webSocket => new ChannelStream(webSocket));

    public static Task<StreamPair> RawAsync(string scheme) =>
        ConnectAsync(scheme, webSocket => new RawWebSocketStream(webSocket, CloseTimeout, TimeProvider.System));

    private static async Task<StreamPair> ConnectAsync(string scheme, Func<WebSocket, DuplexStream> adapt)
    {
        var server = await Server.Value;
        var (uri, accepted) = server.Expect(scheme);
        var client = new ClientWebSocket();
        client.Options.KeepAliveInterval = TunnelProtocol.DataKeepAlive;
        client.Options.RemoteCertificateValidationCallback = static (_, certificate, _, _) =>
            TestCertificate.Localhost.RawDataMemory.Span.SequenceEqual(certificate!.GetRawCertData());
        await client.ConnectAsync(uri, CancellationToken.None);
        var (webSocket, release) = await accepted;
        return new StreamPair(adapt(client), adapt(webSocket), () =>
        {
            release.TrySetResult();
            return Task.CompletedTask;
        });
    }
}
