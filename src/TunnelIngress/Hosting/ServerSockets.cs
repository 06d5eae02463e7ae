using System.Net;
using System.Net.Sockets;
using Shared.Streams.Sockets;
using TunnelIngress.Configuration;

namespace TunnelIngress.Hosting;

/// <summary>
/// The sockets of the web server's addresses, bound before there is a web server: an address that cannot be bound ends the start with one
/// line, where the server would also log where in it that happened. The web server closes those that it has taken.
/// </summary>
internal sealed class ServerSockets : IDisposable
{
    private readonly List<(Socket Socket, ListenAddress Address)> _sockets = [];

    private ServerSockets()
    {
    }

    /// <summary>Where applications and connectors come to, in the configuration's order.</summary>
    public IEnumerable<EndPoint> Public => _sockets.SkipLast(1).Select(static bound => bound.Socket.LocalEndPoint!);

    /// <summary>What listens there.</summary>
    public IReadOnlyDictionary<EndPoint, StreamListener> PublicListeners => _sockets.SkipLast(1).ToDictionary(
        static bound => bound.Socket.LocalEndPoint!, static bound => StreamListener.Over(bound.Socket, bound.Address));

    /// <summary>The management address.</summary>
    public EndPoint Management => _sockets[^1].Socket.LocalEndPoint!;

    /// <summary>Binds all addresses.</summary>
    /// <exception cref="IOException">One cannot be bound; the message says why and what to do.</exception>
    public static ServerSockets Bind(IngressSettings settings)
    {
        var bound = new ServerSockets();
        try
        {
            foreach (var address in settings.Listen.Append(settings.Management))
            {
                bound._sockets.Add((ListenSocket.Bind(address, SocketTuning.Apply), address));
            }

            return bound;
        }
        catch
        {
            bound.Dispose();
            throw;
        }
    }

    /// <summary>The socket that is bound to an address.</summary>
    public Socket At(EndPoint address) => _sockets.First(bound => address.Equals(bound.Socket.LocalEndPoint)).Socket;

    /// <inheritdoc/>
    public void Dispose() => _sockets.ForEach(static bound => bound.Socket.Dispose());
}
