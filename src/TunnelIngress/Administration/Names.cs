using System.Text.RegularExpressions;

namespace TunnelIngress.Administration;

/// <summary>What tunnels, services and hostnames may be called.</summary>
internal static partial class Names
{
    private const int MaxHostname = 253;

    /// <summary>The form in which a hostname is kept: lower case, no trailing dot. Null when it is none (RFC 1123 section 2.1).</summary>
    public static string? NormalizeHostname(string hostname)
    {
        var name = (hostname.EndsWith('.') ? hostname[..^1] : hostname).ToLowerInvariant();
        var labels = name.Split('.');

        // A number at the end would make an IPv4 address a name.
        return name.Length <= MaxHostname && labels.All(label => Label().IsMatch(label)) && !labels[^1].All(char.IsAsciiDigit) ? name : null;
    }

    [GeneratedRegex(@"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\z", RegexOptions.CultureInvariant)]
    private static partial Regex Label();
}
