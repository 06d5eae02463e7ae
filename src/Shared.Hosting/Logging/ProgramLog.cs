using System.Globalization;
using Microsoft.Extensions.Logging;
using Serilog;
using Serilog.Configuration;
using Serilog.Events;
using Serilog.Extensions.Logging;
using Serilog.Formatting.Compact;

namespace Shared.Hosting.Logging;

/// <summary>Makes a program's logger factory: Serilog as the sink, <see cref="ILogger{T}"/> everywhere else.</summary>
public static class ProgramLog
{
    private const string TextTemplate = "{Timestamp:HH:mm:ss.fff} {Level:u3} {Message:lj}{NewLine}{Exception}";

    /// <summary>As many lines wait for whoever reads standard error; beyond them the program waits, too, because no line may be lost.</summary>
    private const int MaxWaiting = 50_000;

    /// <summary>
    /// Creates the factory; dispose it to flush. Lines go to standard error, so that standard output stays the command's own, and are
    /// written by a thread of their own, so that a slow reader does not slow the streams.
    /// </summary>
    public static ILoggerFactory Create(LogOptions options)
    {
        var configuration = new LoggerConfiguration()
            .MinimumLevel.Is(LevelOf(options.Level))
            .MinimumLevel.Override("Microsoft", Louder(options.Level, LogEventLevel.Warning))
            .MinimumLevel.Override("System", Louder(options.Level, LogEventLevel.Warning));
        configuration.WriteTo.Async(sink => WriteTo(sink, options.Format), MaxWaiting, blockWhenFull: true);
        return new SerilogLoggerFactory(configuration.CreateLogger(), dispose: true);
    }

    private static void WriteTo(LoggerSinkConfiguration sink, LogFormat format)
    {
        if (format == LogFormat.Json)
        {
            sink.Console(new CompactJsonFormatter(), standardErrorFromLevel: LogEventLevel.Verbose);
        }
        else
        {
            sink.Console(outputTemplate: TextTemplate, formatProvider: CultureInfo.InvariantCulture, standardErrorFromLevel: LogEventLevel.Verbose);
        }
    }

    private static LogEventLevel Louder(LogLevel asked, LogEventLevel floor) =>
        (LogEventLevel)Math.Max((int)LevelOf(asked), (int)floor);

    private static LogEventLevel LevelOf(LogLevel level) => level switch
    {
        LogLevel.Trace => LogEventLevel.Verbose,
        LogLevel.Debug => LogEventLevel.Debug,
        LogLevel.Warning => LogEventLevel.Warning,
        LogLevel.Error => LogEventLevel.Error,
        LogLevel.Critical or LogLevel.None => LogEventLevel.Fatal,
        _ => LogEventLevel.Information,
    };
}
