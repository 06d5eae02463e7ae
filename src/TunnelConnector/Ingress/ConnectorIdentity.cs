namespace TunnelConnector.Ingress;

/// <summary>What one connector process tells every ingress of who it is. Immutable.</summary>
/// <param name="name">What it is called: the same after a restart, and perhaps the same as another replica's.</param>
internal sealed class ConnectorIdentity(string name)
{
    private const int RandomLength = 8;

    public string Name => name;

    /// <summary>This process's and no other's.</summary>
    public string Id { get; } = $"{name}-{Guid.NewGuid().ToString("N")[..RandomLength]}";
}
