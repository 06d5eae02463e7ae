using Shared.Streams;
using TunnelIngress.Connectors;

namespace TunnelIngress.Streams;

/// <summary>An open stream to a service's target, and what it holds at the ingress. Dispose when its relay has ended.</summary>
internal sealed class ServiceStream(DuplexStream stream, IServiceChannel channel, ConnectorSession session, ConnectorSession.LoadLease load)
    : IAsyncDisposable
{
    /// <summary>The bytes.</summary>
    public DuplexStream Stream => stream;

    /// <summary>The replica that carries it.</summary>
    public ConnectorSession Session => session;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await stream.DisposeAsync();
        channel.Release();
        load.Dispose();
    }
}
