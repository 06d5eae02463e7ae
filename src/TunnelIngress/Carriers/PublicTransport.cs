using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Shared.Streams.Sockets;

namespace TunnelIngress.Carriers;

/// <summary>
/// Where the connections of the web server's public addresses come from: those that offer a carrier's application protocol go to
/// <see cref="CarrierDoor"/> without the web server ever seeing them, all others are the web server's own, untouched.
/// </summary>
/// <param name="listeners">What is bound to the addresses that this is for; the web server's own transport has the others.</param>
/// <param name="door">Serves carriers; null without TLS, where there are none.</param>
/// <param name="budget">For the connections of all addresses.</param>
/// <param name="time">The clock of waits.</param>
/// <param name="loggers">For the web server's connections too.</param>
internal sealed class PublicTransport(
    IReadOnlyDictionary<EndPoint, StreamListener> listeners, CarrierDoor? door, AcceptBudget budget, TimeProvider time, ILoggerFactory loggers)
    : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    /// <inheritdoc/>
    public bool CanBind(EndPoint endpoint) => listeners.ContainsKey(endpoint);

    /// <inheritdoc/>
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        var connections = new SocketConnectionContextFactory(
            new SocketConnectionFactoryOptions(), loggers.CreateLogger("Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets"));
        return ValueTask.FromResult<IConnectionListener>(
            new PublicListener(listeners[endpoint], endpoint, connections, door, budget, time, loggers.CreateLogger<PublicListener>()));
    }
}
