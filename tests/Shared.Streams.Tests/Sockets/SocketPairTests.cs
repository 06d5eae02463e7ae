using System.Net;
using System.Net.Sockets;
using Shared.Streams.Sockets;

namespace Shared.Streams.Tests.Sockets;

/// <summary>A stream on one end and a raw socket on the other.</summary>
public abstract class SocketPairTests(Func<Socket, SocketStream> over)
{
    protected const int MiB = 1024 * 1024;

    protected static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    protected static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    protected SocketStream Over(Socket socket) => over(socket);

    protected async Task<(SocketStream Stream, Socket Raw)> ConnectAsync()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var raw = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await raw.ConnectAsync(listener.LocalEndPoint!, Cancelled);
        return (over(await listener.AcceptAsync(Cancelled)), raw);
    }

    protected static Task<int> ReceiveAsync(Socket socket) =>
        socket.ReceiveAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled);

    protected static async Task SendAllAsync(Socket socket, int bytes)
    {
        for (var left = bytes; left > 0;)
        {
            left -= await socket.SendAsync(new byte[Math.Min(left, 64 * 1024)], Cancelled).AsTask().WaitAsync(Patience, Cancelled);
        }
    }

    protected static async Task<int> CountToEndAsync(Socket socket)
    {
        var buffer = new byte[64 * 1024];
        var bytes = 0;
        while (await socket.ReceiveAsync(buffer, Cancelled).AsTask().WaitAsync(Patience, Cancelled) is > 0 and var count)
        {
            bytes += count;
        }

        return bytes;
    }
}
