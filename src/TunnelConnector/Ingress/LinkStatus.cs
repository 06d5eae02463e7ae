namespace TunnelConnector.Ingress;

/// <summary>How a link to an ingress is now.</summary>
/// <param name="IsRegistered">Whether the ingress gives us new streams.</param>
/// <param name="Text">The same in words, and why not; nothing secret.</param>
internal readonly record struct LinkStatus(bool IsRegistered, string Text);
