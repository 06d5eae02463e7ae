using Shared.Streams.Dialing;
using Shared.Streams.Sockets;

namespace Shared.Streams.Tests.Conformance;

public sealed class TcpConformance : DuplexStreamConformance
{
    protected override int Bulk => 64 * 1024 * 1024;

    protected override bool CarriesAbortReason => false;

    protected override Task<StreamPair> ConnectAsync() => Sockets.ConnectAsync(ListenAddress.Parse("127.0.0.1:0"));
}

public sealed class UnixSocketConformance : DuplexStreamConformance
{
    protected override bool CarriesAbortReason => false;

    // A Unix socket has no reset: a close with nothing unread is an end to the peer.
    protected override bool AbortIsNeverAnEnd => false;

    protected override Task<StreamPair> ConnectAsync() =>
        Sockets.ConnectAsync(ListenAddress.Parse($"unix:{Path.Combine(Path.GetTempPath(), $"conformance-{Guid.NewGuid():N}.sock")}"));
}

internal static class Sockets
{
    public static async Task<StreamPair> ConnectAsync(ListenAddress address)
    {
        await using var listener = StreamListener.Bind(address);
        var accepting = listener.AcceptAsync(TestContext.Current.CancellationToken);
        IDialer dialer = listener.LocalAddress.UnixPath is { } path
            ? new UnixDialer(path, TimeSpan.FromSeconds(10), TimeProvider.System)
            : new TcpDialer("127.0.0.1", listener.LocalAddress.IPEndPoint!.Port, TimeSpan.FromSeconds(10), TimeProvider.System);
        var left = await dialer.DialAsync(TestContext.Current.CancellationToken);
        return new StreamPair(left, (await accepting).Stream);
    }
}
