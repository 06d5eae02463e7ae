namespace TunnelIngress.State;

/// <summary>How a service speaks HTTP, as a row of the table web.</summary>
internal sealed record WebRow(
    string Service, long Tls, long IsPublic, string? HostHeader, long Verify, string? Ca, string? ServerName, long IdleSeconds)
{
    public static WebRow From(string service, WebOrigin web) => new(
        service, web.Tls ? 1 : 0, web.Access == WebAccess.Public ? 1 : 0, web.HostHeader, web.Verify ? 1 : 0, web.Ca, web.ServerName,
        (long)web.IdleTimeout.TotalSeconds);

    public WebOrigin ToOrigin() => new(
        Tls != 0, IsPublic != 0 ? WebAccess.Public : WebAccess.ServiceToken, HostHeader, Verify != 0, Ca, ServerName, TimeSpan.FromSeconds(IdleSeconds));
}
