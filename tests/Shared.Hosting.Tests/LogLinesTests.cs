using System.Globalization;
using System.Text.Json;
using Serilog.Events;
using Serilog.Formatting;
using Serilog.Parsing;
using Shared.Hosting.Logging;

namespace Shared.Hosting.Tests;

/// <summary>What came from outside makes no line of the log, and commands no terminal.</summary>
public sealed class LogLinesTests
{
    private const string Forged = "joe\n12:00:00.000 INF Access granted\r\t\e[2J\u007f\u009b31m\u0085\u2028\u2029\u202e\u2066\u200f\u061c";

    private const string Escaped = @"joe\n12:00:00.000 INF Access granted\r\t\u001b[2J\u007f\u009b31m\u0085\u2028\u2029\u202e\u2066\u200f\u061c";

    [Fact]
    public void Text_of_a_message_is_one_line() =>
        Assert.Equal($"00:00:00.000 WRN refused: {Escaped}{Environment.NewLine}", Write(new TextLines(isColored: false), exception: null));

    [Fact]
    public void Text_of_an_exception_is_indented_and_readable()
    {
        var lines = Write(new TextLines(isColored: false), Thrown()).Split(Environment.NewLine);

        Assert.Equal($"00:00:00.000 WRN refused: {Escaped}", lines[0]);
        Assert.Equal("  System.IO.IOException: joe", lines[1]);
        Assert.Equal("  12:00:00.000 INF Access granted", lines[2]);
        Assert.Contains(lines, static line => line.StartsWith($"     at {typeof(LogLinesTests).FullName}.{nameof(Thrown)}", StringComparison.Ordinal));
        Assert.All(lines[1..^1], static line => Assert.StartsWith("  ", line, StringComparison.Ordinal));
        Assert.All(lines, static line => Assert.DoesNotContain(line, static character => char.IsControl(character) || char.GetUnicodeCategory(character) == UnicodeCategory.Format));
        Assert.Equal("", lines[^1]);
    }

    [Theory]
    [InlineData(LogEventLevel.Information, "", "")]
    [InlineData(LogEventLevel.Warning, "\e[33m", "\e[0m")]
    [InlineData(LogEventLevel.Fatal, "\e[31m", "\e[0m")]
    public void Color_is_around_the_line(LogEventLevel level, string before, string after)
    {
        var line = Write(new TextLines(isColored: true), exception: null, level);

        Assert.StartsWith($"{before}00:00:00.000 ", line, StringComparison.Ordinal);
        Assert.EndsWith($" refused: {Escaped}{after}{Environment.NewLine}", line, StringComparison.Ordinal);
    }

    [Fact]
    public void Json_is_one_line_of_visible_characters_and_says_the_same()
    {
        var line = Write(new JsonLines(), Thrown());

        Assert.EndsWith(Environment.NewLine, line, StringComparison.Ordinal);
        Assert.DoesNotContain(
            line[..^Environment.NewLine.Length],
            static character => char.IsControl(character) || char.GetUnicodeCategory(character) is UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);
        using var document = JsonDocument.Parse(line);
        Assert.Equal(Forged, document.RootElement.GetProperty("Name").GetString());
        Assert.StartsWith($"System.IO.IOException: {Forged}", document.RootElement.GetProperty("@x").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("plain: gr\u00fc\u00df, \u65e5\u672c, \\n, \ud83d\ude00")]
    public void Other_text_stays_as_it_is(string text) => Assert.Same(text, VisibleText.Of(text));

    [Fact]
    public void Text_for_a_terminal_is_one_line() => Assert.Equal(Escaped, VisibleText.Of(Forged));

    private static IOException Thrown()
    {
        try
        {
            throw new IOException(Forged);
        }
        catch (IOException exception)
        {
            return exception;
        }
    }

    private static string Write(ITextFormatter formatter, Exception? exception, LogEventLevel level = LogEventLevel.Warning)
    {
        using var output = new StringWriter(CultureInfo.InvariantCulture);
        formatter.Format(
            new LogEvent(DateTimeOffset.UnixEpoch, level, exception, new MessageTemplateParser().Parse("refused: {Name}"), [new LogEventProperty("Name", new ScalarValue(Forged))]),
            output);
        return output.ToString();
    }
}
