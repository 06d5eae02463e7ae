namespace TunnelIngress.State;

/// <summary>A named pairing, served by one or more connector replicas, that owns services.</summary>
internal sealed record Tunnel(string Name, DateTimeOffset CreatedAt);
