using Microsoft.Extensions.Logging;

namespace Shared.Hosting.Logging;

/// <summary>How a program writes its log: to standard error as text for people, or as JSON lines for machines.</summary>
public sealed class LogOptions
{
    /// <summary><c>text</c> or <c>json</c>.</summary>
    public LogFormat Format { get; set; } = LogFormat.Text;

    /// <summary>The lowest level written.</summary>
    public LogLevel Level { get; set; } = LogLevel.Information;
}

/// <summary>The form of a log line.</summary>
public enum LogFormat
{
    /// <summary>Readable on a terminal.</summary>
    Text,

    /// <summary>One JSON object a line (compact log event format).</summary>
    Json,
}
