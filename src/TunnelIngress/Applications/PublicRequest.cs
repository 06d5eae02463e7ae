using Microsoft.AspNetCore.Connections.Features;
using TunnelIngress.State;

namespace TunnelIngress.Applications;

/// <summary>
/// What of a request is allowed on which name. The web server's own limits are those of HTTP services; upgrades need less, and get less.
/// </summary>
internal static class PublicRequest
{
    private const int MaxUpgradeHeaders = 64;
    private const int MaxUpgradeHeaderBytes = 16 * 1024;

    /// <summary>
    /// True when the connection was made for another name (RFC 9110 section 15.5.20). HTTP/2 is spoken with HTTP services only; and on a
    /// connection whose handshake named one host, a service of another name is not to be had: browsers share connections among names.
    /// </summary>
    /// <param name="context">The request.</param>
    /// <param name="service">What its host stands for; null when nothing does, or it is a connector's.</param>
    public static bool IsMisdirected(HttpContext context, Service? service)
    {
        var isHttp2 = HttpProtocol.IsHttp2(context.Request.Protocol);
        if (service?.Web is null)
        {
            return isHttp2;
        }

        var named = context.Features.Get<ITlsHandshakeFeature>()?.HostName;
        return !string.IsNullOrEmpty(named) && !named.AsSpan().TrimEnd('.').Equals(service.Hostname, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>True when the headers are more than an upgrade ever needs.</summary>
    public static bool HasTooManyHeaders(HttpContext context)
    {
        var (count, bytes) = (0, 0);
        foreach (var (name, values) in context.Request.Headers)
        {
            foreach (var value in values)
            {
                count++;
                bytes += name.Length + (value?.Length ?? 0) + 4;
            }
        }

        return count > MaxUpgradeHeaders || bytes > MaxUpgradeHeaderBytes;
    }
}
