using Shared.Streams.Dialing;
using Shared.Streams.Protocol;
using Shared.Streams.WebSockets;

namespace TunnelConnector.Ingress;

/// <summary>The beginning of a control channel: docs/protocol.md section 3.</summary>
internal static class ControlHandshake
{
    /// <summary>Registers at the ingress.</summary>
    /// <param name="control">A new control channel.</param>
    /// <param name="connectorId">This process's own id, of no other one.</param>
    /// <param name="name">What the connector is called; null for one that comes once and is nobody's replica.</param>
    /// <param name="services">What it can reach; it gets streams for no other.</param>
    /// <param name="cancellationToken">Ends the attempt, which also has a time limit of its own.</param>
    /// <exception cref="DialException">Hop ingress: it refuses, or does not answer.</exception>
    /// <exception cref="IOException">The channel broke, or the ingress broke the protocol.</exception>
    public static async Task<Registered> RegisterAsync(
        ControlChannel control, string connectorId, string? name, IReadOnlyList<string> services, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(TunnelProtocol.RegistrationTimeout);
        try
        {
            await control.SendAsync(new Register(TunnelProtocol.Version, connectorId, services) { Name = name }, limit.Token);
            return await control.ReceiveAsync(limit.Token) switch
            {
                Registered registered => registered with { Tunnel = ProtocolCodec.OneLine(registered.Tunnel) },
                RegistrationRefused refused => throw new DialException(
                    Hop.Ingress, ProtocolCodec.OneLine(refused.Code), ProtocolCodec.OneLine(refused.Message)),
                null => throw new DialException(Hop.Ingress, "closed", "The ingress closed the control channel during registration."),
                var other => throw new ProtocolException($"{other.GetType().Name} during registration"),
            };
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new DialException(Hop.Ingress, "timeout", "The ingress did not finish the registration in time.");
        }
    }
}
