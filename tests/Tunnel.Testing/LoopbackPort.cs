using System.Net;
using System.Net.Sockets;

namespace Tunnel.Testing;

/// <summary>Ports for programs that must be told theirs, or must find the same one again when they are started anew.</summary>
public static class LoopbackPort
{
    // Below those that the system gives to whoever connects or lets it choose: between our choice and the program's bind nobody gets it by chance.
    private const int First = 20_000;
    private const int Last = 32_000;

    /// <summary>One that nobody listens on now.</summary>
    public static int Choose()
    {
        while (true)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            var port = Random.Shared.Next(First, Last);
            try
            {
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException exception) when (exception.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                // Another one, then.
            }
        }
    }
}
