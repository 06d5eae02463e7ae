namespace Tunnel.Bench.Contenders;

/// <summary>The three programs, Release builds as `make build` makes them.</summary>
internal sealed record Programs(string SourceDirectory)
{
    public string Ingress => Find("TunnelIngress", "tunnel-ingress");

    public string Connector => Find("TunnelConnector", "tunnel-connector");

    public string Pooler => Find("TunnelPooler", "tunnel-pooler");

    /// <summary>Gets the connector that `make publish` has made as native code; null when it has not.</summary>
    public string? NativeConnector =>
        Path.Combine(SourceDirectory, "artifacts", "publish", "tunnel-connector", "tunnel-connector") is var path && File.Exists(path) ? path : null;

    private string Find(string project, string program)
    {
        var path = Path.Combine(SourceDirectory, "src", project, "bin", "Release", "net10.0", program);
        return File.Exists(path) ? path : throw new InvalidOperationException($"{program} is not built: run 'dotnet build Tunnel.sln -c Release' first");
    }
}
