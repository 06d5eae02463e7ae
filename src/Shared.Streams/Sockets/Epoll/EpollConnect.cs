using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Shared.Streams.Sockets.Epoll;

/// <summary>
/// Connects without the runtime's own loop: it would go on watching the socket, and be woken for every byte that comes, to no purpose.
/// </summary>
internal static class EpollConnect
{
    /// <summary>Connects the socket of a stream.</summary>
    /// <exception cref="SocketException">It could not be connected.</exception>
    public static async ValueTask ConnectAsync(EpollSocketStream stream, Socket socket, IPEndPoint address, CancellationToken cancellationToken)
    {
        if (Begin(socket, address))
        {
            return;
        }

        try
        {
            await stream.WaitConnectedAsync(cancellationToken);
        }
        catch (StreamAbortedException exception) when (exception.InnerException is SocketException cause)
        {
            throw new SocketException((int)cause.SocketErrorCode);
        }

        if ((SocketError)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)! is var error and not SocketError.Success)
        {
            throw new SocketException((int)error);
        }
    }

    /// <summary>True when it is connected already, false when that takes its time.</summary>
    private static unsafe bool Begin(Socket socket, IPEndPoint address)
    {
        var native = address.Serialize();
        fixed (byte* bytes = native.Buffer.Span)
        {
            if (EpollCalls.Connect(socket.SafeHandle, bytes, (uint)native.Size) == 0)
            {
                return true;
            }
        }

        if (Marshal.GetLastPInvokeError() == EpollCalls.InProgress)
        {
            return false;
        }

        try
        {
            // The runtime tries once more, to say in its own words what is wrong.
            socket.Connect(address);
            return true;
        }
        catch (SocketException exception) when (exception.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
        {
            // What was wrong is over.
            return false;
        }
    }
}
