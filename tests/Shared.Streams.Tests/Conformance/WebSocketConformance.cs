using System.Net.WebSockets;
using Shared.Streams.WebSockets;

namespace Shared.Streams.Tests.Conformance;

public sealed class ChannelOverWsConformance : DuplexStreamConformance
{
    protected override int Bulk => 64 * 1024 * 1024;

    protected override Task<StreamPair> ConnectAsync() => Channels.ConnectAsync(tls: false);

    protected override Task<StreamPair> ConnectPatientAsync() => Channels.ConnectAsync(tls: false, new SlowTime());
}

public sealed class ChannelOverWssConformance : DuplexStreamConformance
{
    protected override Task<StreamPair> ConnectAsync() => Channels.ConnectAsync(tls: true);

    protected override Task<StreamPair> ConnectPatientAsync() => Channels.ConnectAsync(tls: true, new SlowTime());
}

public sealed class TlsInsideChannelConformance : DuplexStreamConformance
{
    protected override async Task<StreamPair> ConnectAsync() => await Tls.OverAsync(await Channels.ConnectAsync(tls: false));

    protected override async Task<StreamPair> ConnectPatientAsync() => await Tls.OverAsync(await Channels.ConnectAsync(tls: false, new SlowTime()));
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
    public static Task<StreamPair> ConnectAsync(bool tls, TimeProvider? time = null)
    {
        var clock = time ?? TimeProvider.System;
        return WebSocketServer.ConnectAsync(
            tls, client => new ChannelStream(client) { Time = clock }, (server, closed) => new ChannelStream(server, closed) { Time = clock });
    }
}

/// <summary>A clock whose timers take thirty times as long.</summary>
internal sealed class SlowTime : TimeProvider
{
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        base.CreateTimer(callback, state, dueTime * 30, period);
}
