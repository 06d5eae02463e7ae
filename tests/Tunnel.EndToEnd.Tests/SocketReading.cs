using System.Net.Sockets;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Reads from a raw socket, with patience but not for ever.</summary>
internal static class SocketReading
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static async Task<byte[]> ReceiveExactlyAsync(this Socket socket, int length)
    {
        var buffer = new byte[length];
        for (var count = 0; count < length;)
        {
            var received = await socket.ReceiveAsync(buffer.AsMemory(count), Cancelled).AsTask().WaitAsync(Patience, Cancelled);
            Assert.True(received > 0, "the stream ended early");
            count += received;
        }

        return buffer;
    }

    public static async Task<byte[]> ReceiveToEndAsync(this Socket socket)
    {
        var all = new MemoryStream();
        var buffer = new byte[64 * 1024];
        while (await socket.ReceiveAsync(buffer, Cancelled).AsTask().WaitAsync(Patience, Cancelled) is > 0 and var count)
        {
            await all.WriteAsync(buffer.AsMemory(0, count), Cancelled);
        }

        return all.ToArray();
    }
}
