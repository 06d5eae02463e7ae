namespace TunnelIngress.Hosting;

/// <summary>
/// Marks a connection that came in on the management address. Told by the listener, not by anything the client sends: the Host
/// header could be forged to reach management from the public address.
/// </summary>
internal sealed class ManagementConnectionFeature
{
    public static readonly ManagementConnectionFeature Instance = new();
}
