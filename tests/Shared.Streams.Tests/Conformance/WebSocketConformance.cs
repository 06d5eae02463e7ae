using System.Net.WebSockets;
using Shared.Streams.WebSockets;

namespace Shared.Streams.Tests.Conformance;

public sealed class ChannelOverWsConformance : DuplexStreamConformance
{
    protected override int Bulk => 64 * 1024 * 1024;

    protected override Task<StreamPair> ConnectAsync() => Channels.ConnectAsync(tls: false);
}

public sealed class ChannelOverWssConformance : DuplexStreamConformance
{
    protected override Task<StreamPair> ConnectAsync() => Channels.ConnectAsync(tls: true);
}

public sealed class TlsInsideChannelConformance : DuplexStreamConformance
{
    protected override async Task<StreamPair> ConnectAsync() => await Tls.OverAsync(await Channels.ConnectAsync(tls: false));
}

/// <summary>Contract 2's plain bytes: an end is a Close frame, so there is no half-close, and a lost peer has ended normally.</summary>
public sealed class RawWebSocketConformance : DuplexStreamConformance
{
    protected override bool CarriesAbortReason => false;

    protected override bool AbortIsNeverAnEnd => false;

    // Between two ends of ours it works, because ours go on reading after their own Close frame; foreign clients need not.
    protected override bool HalfCloses => true;

    protected override Task<StreamPair> ConnectAsync() => WebSocketServer.ConnectAsync(
        tls: false, static client => Raw(client, CancellationToken.None), Raw);

    private static RawWebSocketStream Raw(WebSocket webSocket, CancellationToken connectionClosed) =>
        new(webSocket, TimeSpan.FromSeconds(60), TimeProvider.System, connectionClosed);
}

internal static class Channels
{
    public static Task<StreamPair> ConnectAsync(bool tls) => WebSocketServer.ConnectAsync(
        tls, static client => new ChannelStream(client), static (server, closed) => new ChannelStream(server, closed));
}
