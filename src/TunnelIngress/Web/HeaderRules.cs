using System.Buffers;
using System.Collections.Frozen;
using Microsoft.Extensions.Primitives;

namespace TunnelIngress.Web;

/// <summary>Which headers never pass the ingress, in either direction.</summary>
internal static class HeaderRules
{
    /// <summary>What tells an origin where a request came from: ours to say, and nobody else's.</summary>
    private static readonly FrozenSet<string> AboutTheClient = new[]
    {
        "Forwarded", "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "True-Client-IP", "X-Original-Host", "X-Original-URL", "X-Rewrite-URL", "X-Original-For", "X-Original-Proto",
        "Client-IP", "X-Forwarded", "Forwarded-For", "X-ProxyUser-IP", "Proxy-Client-IP", "WL-Proxy-Client-IP", "Fastly-Client-IP", "Fly-Client-IP", "X-AppEngine-User-IP",
        "X-Azure-ClientIP", "X-Envoy-External-Address", "CF-Pseudo-IPv4", "HTTP-Client-IP", "HTTP-X-Forwarded-For",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    /// <summary>What our operator's own proxy may say of it.</summary>
    private static readonly FrozenSet<string> SaidByProxy = new[] { "Forwarded", "X-Real-IP" }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    private static readonly SearchValues<char> PlainCharacters = SearchValues.Create("-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    private const string SaidByProxyPrefix = "X-Forwarded-";

    private static readonly string[] AboutTheClientPrefixes = [SaidByProxyPrefix, "CF-Connecting-"];

    /// <summary>
    /// For the origin, and not for whoever forwards: a sender that names it in Connection breaks the rules (RFC 9110 section 7.6.1), and may hope
    /// that an origin does something else without it.
    /// </summary>
    private static readonly FrozenSet<string> NeverNominated = new[] { "Host", "Content-Length", "Transfer-Encoding", "Cache-Control", "Authorization", "Cookie", "Date", "Expires" }
        .ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    /// <summary>True for the service token's headers, those of our protocol, and what CGI takes for an outgoing proxy ("httpoxy"); in any spelling that an origin might take for one.</summary>
    public static bool IsOurs(string name)
    {
        var plain = Plain(name);
        return plain.StartsWith("CF-Access-", StringComparison.OrdinalIgnoreCase)
            || plain.StartsWith("Tunnel-", StringComparison.OrdinalIgnoreCase)
            || plain.Equals("Proxy", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>True for what only we may say of where a request came from.</summary>
    /// <param name="name">The header.</param>
    /// <param name="trustsClient">The client is our operator's own proxy, which may say some of it.</param>
    public static bool IsAboutTheClient(string name, bool trustsClient)
    {
        if (trustsClient && !name.AsSpan().ContainsAnyExcept(PlainCharacters) && (SaidByProxy.Contains(name) || name.StartsWith(SaidByProxyPrefix, StringComparison.OrdinalIgnoreCase)))
        {
            return false;
        }

        var plain = Plain(name);
        return AboutTheClient.Contains(plain) || Array.Exists(AboutTheClientPrefixes, prefix => plain.StartsWith(prefix, StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>The headers that a message's Connection header names: meant for us, not for the next one (RFC 9110 section 7.6.1).</summary>
    public static IEnumerable<string> Nominated(StringValues connection)
    {
        foreach (var line in connection)
        {
            foreach (var name in (line ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            {
                if (!NeverNominated.Contains(name))
                {
                    yield return name;
                }
            }
        }
    }

    // CGI makes one variable of X-Forwarded-For and X_Forwarded_For, and what came after it of X.Forwarded.For, too.
    private static string Plain(string name) => name.AsSpan().ContainsAnyExcept(PlainCharacters)
        ? string.Create(name.Length, name, static (plain, name) =>
        {
            for (var i = 0; i < plain.Length; i++)
            {
                plain[i] = char.IsAsciiLetterOrDigit(name[i]) ? name[i] : '-';
            }
        })
        : name;
}
