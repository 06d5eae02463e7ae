namespace TunnelConnector.Configuration;

/// <summary>The settings in force; a reload swaps them for new streams and leaves running ones alone. Safe for concurrent use.</summary>
internal sealed class CurrentSettings(ConnectorSettings initial)
{
    private volatile ConnectorSettings _value = initial;

    public ConnectorSettings Value => _value;

    public void Replace(ConnectorSettings settings) => _value = settings;
}
