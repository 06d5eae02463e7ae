using System.Net.Sockets;
using Shared.Streams.Sockets;

namespace Shared.Streams.Tests.Conformance.Adapters;

internal static class SocketPairs
{
    public static async Task<StreamPair> TcpAsync()
    {
        await using var listener = StreamListener.Bind(ListenAddress.Parse("127.0.0.1:0"));
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(listener.LocalAddress.IPEndPoint!);
        var accepted = await listener.AcceptAsync(CancellationToken.None);
        return new StreamPair(new SocketStream(socket), accepted.Stream);
    }

    public static async Task<StreamPair> UnixAsync()
    {
        var path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.sock");
        await using var listener = StreamListener.Bind(ListenAddress.Parse($"unix:{path}"));
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
        var accepted = await listener.AcceptAsync(CancellationToken.None);
        return new StreamPair(new SocketStream(socket), accepted.Stream);
    }
}
