namespace TunnelIngress.State;

/// <summary>A private target as the public side knows it. Where it really is, only the connector knows.</summary>
/// <param name="Name">Unique; what the connector's configuration calls it too.</param>
/// <param name="Hostname">Unique; in the form of <see cref="State.Hostname.Normalize"/>.</param>
/// <param name="Tunnel">The name of the tunnel whose connectors serve it.</param>
/// <param name="CreatedAt">When it was added.</param>
internal sealed record Service(string Name, string Hostname, string Tunnel, DateTimeOffset CreatedAt);
