using System.CommandLine;
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
        if (result.Errors.Count > 0 && result.Action is System.CommandLine.Invocation.ParseErrorAction)
        {
            foreach (var error in result.Errors)
            {
                await Console.Error.WriteLineAsync($"{root.Name}: {error.Message}");
            }

            await Console.Error.WriteLineAsync($"Try '{root.Name} --help'.");
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
            await Console.Error.WriteLineAsync($"{root.Name}: configuration: {exception.Message}");
            return ExitCodes.Usage;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Whatever could not be reached may have written it.
            await Console.Error.WriteLineAsync($"{root.Name}: {VisibleText.Of(exception.Message)}");
            return ExitCodes.Failure;
        }
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
