using System.Net.Http.Headers;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace TunnelIngress.Web;

/// <summary>
/// NTLM and Negotiate authenticate a connection, not a request (RFC 4559 section 6). Connections to an origin are shared: with these, one caller
/// would be another. So neither the offer nor the credentials pass.
/// </summary>
internal static class ConnectionAuthentication
{
    private static readonly string[] Schemes = ["NTLM", "Negotiate"];

    /// <summary>Removes credentials of these schemes from a request.</summary>
    public static void RemoveFrom(HttpRequestHeaders headers)
    {
        foreach (var name in new[] { HeaderNames.Authorization, HeaderNames.ProxyAuthorization })
        {
            if (headers.NonValidated.TryGetValues(name, out var values) && values.Any(static value => IsOurs(value)))
            {
                headers.Remove(name);
            }
        }
    }

    /// <summary>Removes offers of these schemes from an answer.</summary>
    public static void RemoveFrom(IHeaderDictionary headers)
    {
        foreach (var name in new[] { HeaderNames.WWWAuthenticate, HeaderNames.ProxyAuthenticate })
        {
            if (headers.TryGetValue(name, out var lines) && lines.Any(static line => Without(line ?? "") != line))
            {
                headers[name] = new StringValues([.. lines.Select(static line => Without(line ?? "")).Where(static line => line.Length > 0)]);
            }
        }
    }

    /// <summary>The challenges of one line but those of these schemes; the line itself when there are none (RFC 9110 section 11.6.1).</summary>
    internal static string Without(string line)
    {
        if (!Array.Exists(Schemes, scheme => line.Contains(scheme, StringComparison.OrdinalIgnoreCase)))
        {
            return line;
        }

        var (kept, isDropped, hasDropped) = (new List<string>(), false, false);
        foreach (var element in Elements(line))
        {
            // What has no "=" after its first word begins a challenge; what has is a parameter of the last one.
            var word = element.AsSpan().IndexOfAny(" \t=");
            if (word < 0 || !element.AsSpan(word).TrimStart(" \t").StartsWith("="))
            {
                isDropped = IsOurs(element);
            }

            hasDropped |= isDropped;
            if (!isDropped)
            {
                kept.Add(element);
            }
        }

        return hasDropped ? string.Join(", ", kept) : line;
    }

    private static bool IsOurs(string value)
    {
        var text = value.AsSpan().TrimStart();
        foreach (var scheme in Schemes)
        {
            if (text.StartsWith(scheme, StringComparison.OrdinalIgnoreCase) && (text.Length == scheme.Length || text[scheme.Length] is ' ' or '\t' or ','))
            {
                return true;
            }
        }

        return false;
    }

    // Commas in quotes separate nothing.
    private static IEnumerable<string> Elements(string line)
    {
        var (start, isQuoted) = (0, false);
        for (var i = 0; i <= line.Length; i++)
        {
            if (i == line.Length || (line[i] == ',' && !isQuoted))
            {
                if (line[start..i].Trim() is { Length: > 0 } element)
                {
                    yield return element;
                }

                start = i + 1;
            }
            else if (line[i] == '"')
            {
                isQuoted = !isQuoted;
            }
            else if (line[i] == '\\' && isQuoted)
            {
                i = Math.Min(i + 1, line.Length - 1);
            }
        }
    }
}
