using System.Globalization;
using Serilog.Events;
using Serilog.Formatting;
using Serilog.Formatting.Display;

namespace Shared.Hosting.Logging;

/// <summary>
/// The log as text for people. What begins with a time is a line of the log and nothing else is, whatever a message holds that came from outside:
/// a message is one line, and those of an exception are indented. Safe for concurrent use.
/// </summary>
/// <param name="isColored">Warnings and errors stand out, by the means of a terminal.</param>
internal sealed class TextLines(bool isColored) : ITextFormatter
{
    private const string Indent = "  ";
    private const string Plain = "\e[0m";

    private readonly MessageTemplateTextFormatter _line = new("{Timestamp:HH:mm:ss.fff} {Level:u3} {Message:l}", CultureInfo.InvariantCulture);

    /// <inheritdoc/>
    public void Format(LogEvent logEvent, TextWriter output)
    {
        var color = isColored ? ColorOf(logEvent.Level) : null;
        using var visible = new VisibleWriter(output);
        output.Write(color);
        _line.Format(logEvent, visible);
        output.WriteLine(color is null ? null : Plain);
        if (logEvent.Exception is { } exception)
        {
            foreach (var line in exception.ToString().AsSpan().EnumerateLines())
            {
                output.Write(Indent);
                visible.Write(line);
                output.WriteLine();
            }
        }
    }

    private static string? ColorOf(LogEventLevel level) => level switch
    {
        LogEventLevel.Warning => "\e[33m",
        LogEventLevel.Error or LogEventLevel.Fatal => "\e[31m",
        _ => null,
    };
}
