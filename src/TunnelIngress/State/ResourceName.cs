using System.Buffers;

namespace TunnelIngress.State;

/// <summary>The rule for the names of tunnels, services and tokens: safe in a URL, a metric's label, a file name and a shell.</summary>
internal static class ResourceName
{
    public const int MaxLength = 63;

    public const string Rule = "1 to 63 characters of a-z, 0-9 and '-', and the first one is not '-'";

    private static readonly SearchValues<char> Allowed = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789-");

    public static bool IsValid(string name) =>
        name.Length is > 0 and <= MaxLength && name[0] != '-' && !name.AsSpan().ContainsAnyExcept(Allowed);
}
