using System.Buffers;

namespace Shared.Streams.Protocol;

/// <summary>
/// What tunnels, services, tokens and connectors may be called: 1 to 63 lower-case letters, digits and hyphens, beginning with a letter or digit. So a
/// name needs no escaping anywhere: in logs, labels, configuration keys and hostnames.
/// </summary>
public static class PlainName
{
    /// <summary>In characters.</summary>
    public const int MaxLength = 63;

    /// <summary>Whether the text is one.</summary>
    public static bool IsValid(ReadOnlySpan<char> text) =>
        text.Length is > 0 and <= MaxLength && text[0] != '-' && !text.ContainsAnyExcept(Allowed);

    /// <summary>Null when the name is one, otherwise what is wrong.</summary>
    /// <param name="kind">Whose it is to be, as in "service".</param>
    /// <param name="name">The name.</param>
    public static string? FaultOf(string kind, string name) => IsValid(name)
        ? null
        : $"'{name}' is not a {kind} name. Use 1 to {MaxLength} lower-case letters, digits and hyphens, beginning with a letter or digit.";

    /// <summary>The name that is nearest to another text: lower case, with a hyphen for everything that is not allowed.</summary>
    /// <param name="text">Any text, for example a machine's name.</param>
    /// <param name="otherwise">The name when nothing is left of it.</param>
    public static string Nearest(string text, string otherwise)
    {
        var name = string.Create(text.Length, text, static (characters, source) =>
        {
            for (var i = 0; i < characters.Length; i++)
            {
                characters[i] = char.IsAsciiLetterOrDigit(source[i]) ? char.ToLowerInvariant(source[i]) : '-';
            }
        }).TrimStart('-');
        name = name[..Math.Min(name.Length, MaxLength)].TrimEnd('-');
        return name.Length > 0 ? name : otherwise;
    }

    private static SearchValues<char> Allowed { get; } = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789-");
}
