using Serilog.Events;
using Serilog.Formatting;
using Serilog.Formatting.Compact;
using Serilog.Formatting.Json;

namespace Shared.Hosting.Logging;

/// <summary>
/// The log as JSON, an event a line. JSON lets pass some of what commands a terminal, and its reader may have one, too. Safe for concurrent use.
/// </summary>
internal sealed class JsonLines : ITextFormatter
{
    private readonly JsonValueFormatter _values = new(typeTagName: "$type");

    /// <inheritdoc/>
    public void Format(LogEvent logEvent, TextWriter output)
    {
        using var visible = new VisibleWriter(output);
        CompactJsonFormatter.FormatEvent(logEvent, visible, _values);
        output.WriteLine();
    }
}
