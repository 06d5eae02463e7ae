using Shared.Streams;
using Shared.Streams.Multiplexing;
using TunnelIngress.Connectors;

namespace TunnelIngress.Carriers;

/// <summary>A carrier from its authentication to its end: join the session → carry → leave. Safe for concurrent use.</summary>
internal sealed class CarrierRunner(TimeProvider time, ILogger<CarrierRunner> logger)
{
    /// <summary>Carries the session's streams over a carrier until it ends; takes it over.</summary>
    public async Task RunAsync(ConnectorSession session, DuplexStream carrier)
    {
        var multiplexer = new Multiplexer(carrier, time);
        if (!session.TryJoin(multiplexer))
        {
            await carrier.DisposeAsync();
            return;
        }

        var reason = "it ended";
        try
        {
            await multiplexer.RunAsync();
        }
        catch (IOException exception)
        {
            reason = exception.Message;
        }
        finally
        {
            session.Leave(multiplexer);
        }

        if (session.IsActive)
        {
            logger.CarrierLost(session.Connector, session.Tunnel, reason);
        }
    }
}
