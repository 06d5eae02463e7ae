using System.Net.Sockets;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Reads from a raw socket, with patience but not for ever.</summary>
internal static class SocketReading
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

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

    /// <summary>Reads the peer's end, and waits for the reset that comes behind it, without a word that would bring one about.</summary>
    public static async Task WaitForResetAfterEndAsync(this Socket socket, Func<Task> reset)
    {
        Assert.Empty(await socket.ReceiveToEndAsync());
        Assert.Equal(SocketError.Success, ErrorOf(socket));
        await reset();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(Patience);
        SocketError error;
        while ((error = ErrorOf(socket)) == SocketError.Success)
        {
            await Task.Delay(20, limit.Token);
        }

        // As Linux tells a reset behind an end.
        Assert.Equal(SocketError.Shutdown, error);
    }

    private static SocketError ErrorOf(Socket socket) => (SocketError)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)!;

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
