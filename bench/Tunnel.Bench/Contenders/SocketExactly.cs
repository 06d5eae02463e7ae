using System.Net;
using System.Net.Sockets;

namespace Tunnel.Bench.Contenders;

/// <summary>Whole-buffer sends and receives on a socket, as the raw target and its clients need them.</summary>
internal static class SocketExactly
{
    public static async Task SendExactlyAsync(this Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[await socket.SendAsync(bytes, cancellationToken)..];
        }
    }

    /// <exception cref="EndOfStreamException">The peer ended before the buffer was full.</exception>
    public static async Task ReceiveExactlyAsync(this Socket socket, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (buffer.Length > 0)
        {
            var read = await socket.ReceiveAsync(buffer, cancellationToken);
            if (read == 0)
            {
                throw new EndOfStreamException($"the peer ended {buffer.Length} bytes too early");
            }

            buffer = buffer[read..];
        }
    }

    /// <returns>A socket to connect to the end point with.</returns>
    public static Socket Create(EndPoint endPoint) => endPoint is UnixDomainSocketEndPoint
        ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
        : new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

    public static async Task<Socket> ConnectAsync(EndPoint endPoint, CancellationToken cancellationToken)
    {
        var socket = Create(endPoint);
        try
        {
            await socket.ConnectAsync(endPoint, cancellationToken);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
