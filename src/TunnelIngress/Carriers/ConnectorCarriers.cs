using System.Net;
using Shared.Streams;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using TunnelIngress.Applications;
using TunnelIngress.Connectors;

namespace TunnelIngress.Carriers;

/// <summary>
/// Connectors' carriers from their authentication to their end: join the session → carry → leave. Safe for concurrent use.
/// </summary>
internal sealed class ConnectorCarriers(AccessCheck access, ConnectorRegistry registry, TimeProvider time, ILogger<ConnectorCarriers> logger)
{
    /// <summary>Checks the token and the session of a carrier.</summary>
    public Admission Admit(DuplexStream carrier, Join join, IPEndPoint? remote)
    {
        var session = registry.ById(join.Session);
        var token = access.Authenticate(join.ClientId, join.ClientSecret, remote?.Address, out var denial);
        if (token is { } accepted && session?.TokenId == accepted.ClientId)
        {
            return new Admission(() => RunAsync(session, carrier), null);
        }

        var reason = token is null ? denial.ToString() : "no such session of this token";
        return Admission.Denied(access.CountRefusal(
            remote?.Address, remote?.ToString() ?? "?", join.ClientId, "", TunnelProtocol.CarrierApplicationProtocol, reason));
    }

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
