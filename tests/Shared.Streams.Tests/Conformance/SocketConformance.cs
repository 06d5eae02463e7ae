using System.Net;
using System.Net.Sockets;
using Shared.Streams.Dialing;
using Shared.Streams.Sockets;

namespace Shared.Streams.Tests.Conformance;

public sealed class TcpConformance : DuplexStreamConformance
{
    protected override int Bulk => 64 * 1024 * 1024;

    protected override bool CarriesAbortReason => false;

    protected override Task<StreamPair> ConnectAsync() => Sockets.ConnectAsync(ListenAddress.Parse("127.0.0.1:0"));
}

/// <summary>As on systems without epoll.</summary>
public sealed class RuntimeTcpConformance : DuplexStreamConformance
{
    protected override int Bulk => 64 * 1024 * 1024;

    protected override bool CarriesAbortReason => false;

    protected override async Task<StreamPair> ConnectAsync()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var left = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await left.ConnectAsync(listener.LocalEndPoint!, TestContext.Current.CancellationToken);
        return new StreamPair(new RuntimeSocketStream(left), new RuntimeSocketStream(await listener.AcceptAsync(TestContext.Current.CancellationToken)));
    }
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
            ? new UnixDialer(path, TimeSpan.FromSeconds(30), TimeProvider.System)
            : new TcpDialer("127.0.0.1", listener.LocalAddress.IPEndPoint!.Port, TimeSpan.FromSeconds(30), TimeProvider.System);
        var left = await dialer.DialAsync(TestContext.Current.CancellationToken);
        return new StreamPair(left, (await accepting).Stream);
    }
}
