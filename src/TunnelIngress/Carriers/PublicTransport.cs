using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace TunnelIngress.Carriers;

/// <summary>
/// Where the web server's public TLS addresses come from: connections that offer a carrier's application protocol go to
/// <see cref="CarrierDoor"/> without the web server ever seeing them, all others are the web server's own, untouched.
/// </summary>
/// <param name="sockets">What is bound to the addresses that this is for; the web server's own transport has the others.</param>
/// <param name="door">Serves carriers.</param>
/// <param name="time">The clock of waits.</param>
/// <param name="loggers">For the web server's connections too.</param>
internal sealed class PublicTransport(IReadOnlyDictionary<EndPoint, Socket> sockets, CarrierDoor door, TimeProvider time, ILoggerFactory loggers)
    : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    /// <inheritdoc/>
    public bool CanBind(EndPoint endpoint) => sockets.ContainsKey(endpoint);

    /// <inheritdoc/>
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        var connections = new SocketConnectionContextFactory(
            new SocketConnectionFactoryOptions(), loggers.CreateLogger("Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets"));
        return ValueTask.FromResult<IConnectionListener>(
            new PublicListener(sockets[endpoint], connections, door, time, loggers.CreateLogger<PublicListener>()));
    }
}
