using Microsoft.Extensions.Logging;
using Serilog;
using Serilog.Events;
using Serilog.Extensions.Logging;
using Serilog.Formatting;

namespace Shared.Hosting.Logging;

/// <summary>Makes a program's logger factory: Serilog as the sink, <see cref="ILogger{T}"/> everywhere else.</summary>
public static class ProgramLog
{
    /// <summary>Creates the factory; dispose it to flush. Lines go to standard error, so that standard output stays the command's own.</summary>
    public static ILoggerFactory Create(LogOptions options)
    {
        var configuration = new LoggerConfiguration()
            .MinimumLevel.Is(LevelOf(options.Level))
            .MinimumLevel.Override("Microsoft", Louder(options.Level, LogEventLevel.Warning))
            .MinimumLevel.Override("System", Louder(options.Level, LogEventLevel.Warning))

            // Each failed request has a line of ours, which names the hop; theirs would be a second one, with a stack trace.
            .MinimumLevel.Override("Yarp", Louder(options.Level, LogEventLevel.Error));
        ITextFormatter lines = options.Format == LogFormat.Json ? new JsonLines() : new TextLines(isColored: !Console.IsErrorRedirected && !IsColorUnwanted);
        configuration = configuration.WriteTo.Sink(new GatheringSink(lines, Console.OpenStandardError()));
        return new SerilogLoggerFactory(configuration.CreateLogger(), dispose: true);
    }

    // https://no-color.org
    private static bool IsColorUnwanted => Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 };

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
