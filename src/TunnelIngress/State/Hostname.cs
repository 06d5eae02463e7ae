using System.Buffers;

namespace TunnelIngress.State;

/// <summary>The rule for service hostnames (RFC 1123 section 2.1, lengths of RFC 1035 section 2.3.4), and their one stored form.</summary>
internal static class Hostname
{
    public const int MaxLength = 253;

    public const string Rule =
        "a DNS name such as orders-db.example.com: labels of 1 to 63 letters, digits and '-' (not at either end), joined by dots, "
        + "at most 253 characters, the last label not a number, no port, no wildcard; international names in their xn-- form";

    private const int MaxLabelLength = 63;

    private static readonly SearchValues<char> Allowed =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");

    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789");

    /// <summary>Whether <paramref name="name"/> is valid; a trailing dot is, a port is not.</summary>
    public static bool IsValid(string name)
    {
        var rest = WithoutTrailingDot(name);
        if (rest.Length is 0 or > MaxLength)
        {
            return false;
        }

        var lastLabelIsNumber = false;
        foreach (var range in rest.Split('.'))
        {
            var label = rest[range];
            if (label.Length is 0 or > MaxLabelLength || label[0] == '-' || label[^1] == '-' || label.ContainsAnyExcept(Allowed))
            {
                return false;
            }

            lastLabelIsNumber = !label.ContainsAnyExcept(Digits);
        }

        // Otherwise an IPv4 address would pass as a name.
        return !lastLabelIsNumber;
    }

    /// <summary>The stored form: lower case, no trailing dot.</summary>
    public static string Normalize(string name) => WithoutTrailingDot(name).ToString().ToLowerInvariant();

    /// <summary>What names the service in a <c>Host</c> header: no port, no trailing dot; case is left alone.</summary>
    public static ReadOnlySpan<char> FromHostHeader(ReadOnlySpan<char> host)
    {
        var port = host.LastIndexOf(':');
        return WithoutTrailingDot(port < 0 ? host : host[..port]);
    }

    private static ReadOnlySpan<char> WithoutTrailingDot(ReadOnlySpan<char> name) => name.EndsWith('.') ? name[..^1] : name;
}
