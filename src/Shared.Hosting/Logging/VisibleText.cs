using System.Buffers;
using System.Globalization;

namespace Shared.Hosting.Logging;

/// <summary>
/// Text that came from outside, for whoever reads it on a terminal: what would begin a line, command the terminal or turn the direction of
/// reading is written as the escape that JSON has for it. Everything else stays as it is.
/// </summary>
public static class VisibleText
{
    private static readonly SearchValues<char> Commands = SearchValues.Create(
        [.. Range('\0', '\x1f'), .. Range('\x7f', '\x9f'), '\u061c', '\u200e', '\u200f', .. Range('\u2028', '\u202e'), .. Range('\u2066', '\u2069')]);

    /// <summary>The text, visible in one line.</summary>
    public static string Of(string text)
    {
        if (!text.AsSpan().ContainsAny(Commands))
        {
            return text;
        }

        using var visible = new StringWriter(CultureInfo.InvariantCulture);
        Write(text, visible);
        return visible.ToString();
    }

    /// <summary>Writes the text, visible in one line.</summary>
    internal static void Write(ReadOnlySpan<char> text, TextWriter output)
    {
        for (int at; (at = text.IndexOfAny(Commands)) >= 0; text = text[(at + 1)..])
        {
            output.Write(text[..at]);
            output.Write(EscapeOf(text[at]));
        }

        output.Write(text);
    }

    private static string EscapeOf(char command) => command switch
    {
        '\n' => @"\n",
        '\r' => @"\r",
        '\t' => @"\t",
        _ => string.Create(CultureInfo.InvariantCulture, $@"\u{(int)command:x4}"),
    };

    private static IEnumerable<char> Range(char first, char last) => Enumerable.Range(first, last - first + 1).Select(static code => (char)code);
}
