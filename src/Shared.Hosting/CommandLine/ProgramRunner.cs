using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using Shared.Hosting.Configuration;
using Shared.Hosting.Logging;

namespace Shared.Hosting.CommandLine;

/// <summary>Runs a program's command line and turns expected failures into one line on standard error and an exit code.</summary>
public static class ProgramRunner
{
    private const string InlineCompletions = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>Parses and runs.</summary>
    public static async Task<int> RunAsync(RootCommand root, string[] args)
    {
        RunCompletionsInline();
        var result = root.Parse(args);
        var mistakes = Mistakes(result);
        if (mistakes.Count > 0)
        {
            await SayAsync(root, mistakes);
            await Console.Error.WriteLineAsync($"Try '{NameOf(result.CommandResult)} --help'.");
            return ExitCodes.Usage;
        }

        try
        {
            return await result.InvokeAsync(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
            });
        }
        catch (ConfigurationException exception)
        {
            await SayAsync(root, exception.Problems.Select(static problem => $"configuration: {problem}"));
            return ExitCodes.Usage;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Whatever could not be reached may have written it.
            await SayAsync(root, [VisibleText.Of(exception.Message)]);
            return ExitCodes.Failure;
        }
        catch (Exception exception)
        {
            await SayAsync(root, [$"unexpected, and probably a fault of this program{Details(exception, result)}"]);
            return ExitCodes.Failure;
        }
    }

    // Help is shown in spite of arguments that are still missing, but not for a command that there is not.
    private static IReadOnlyList<string> Mistakes(ParseResult result) => result.Action switch
    {
        ParseErrorAction => [.. result.Errors.Select(static error => error.Message)],
        _ => [.. result.UnmatchedTokens.Select(static token => $"Unrecognized command or argument '{token}'.")],
    };

    private static string NameOf(CommandResult command) =>
        command.Parent is CommandResult parent ? $"{NameOf(parent)} {command.Command.Name}" : command.Command.Name;

    private static async Task SayAsync(RootCommand root, IEnumerable<string> lines)
    {
        foreach (var line in lines)
        {
            await Console.Error.WriteLineAsync($"{root.Name}: {line}");
        }
    }

    // A command without that option has no log either; who runs it sees at once what happened.
    private static string Details(Exception exception, ParseResult result)
    {
        var level = result.CommandResult.Command.Options.OfType<Option<string?>>().FirstOrDefault(static option => option.Name == RunOptions.LogLevel);
        return level is null || result.GetValue(level)?.ToUpperInvariant() is "DEBUG" or "TRACE"
            ? $": {string.Join(Environment.NewLine, exception.ToString().Split(Environment.NewLine).Select(VisibleText.Of))}"
            : $"; {RunOptions.LogLevel} Debug shows where: {exception.GetType().Name}: {VisibleText.Of(exception.Message)}";
    }

    /// <summary>
    /// Lets whoever waits for one of the runtime's sockets go on on the thread that learned of it, as with our own: accepting, and the web server's
    /// connections. Nothing may block there, which is why the log is written by a thread of its own. The runtime reads this when the first socket is
    /// used. It can be switched off from outside with 0.
    /// </summary>
    private static void RunCompletionsInline()
    {
        if (Environment.GetEnvironmentVariable(InlineCompletions) is null)
        {
            Environment.SetEnvironmentVariable(InlineCompletions, "1");
        }
    }
}
