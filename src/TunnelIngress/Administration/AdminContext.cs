using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Shared.Hosting.CommandLine;
using TunnelIngress.State;

namespace TunnelIngress.Administration;

/// <summary>What every administration command has: the state, and an output for people or, with --json, for programs.</summary>
/// <param name="store">The state.</param>
/// <param name="stateDirectory">Where it is.</param>
/// <param name="json">One JSON document on standard output instead of text.</param>
internal sealed class AdminContext(IStateStore store, string stateDirectory, bool json)
{
    private static readonly JsonSerializerOptions JsonForm = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.Never,
    };

    public IStateStore Store => store;

    public string StateDirectory => stateDirectory;

    /// <summary>The clock of all times that are written.</summary>
    public static TimeProvider Time => TimeProvider.System;

    /// <summary>Adds --state and --json, and an action that opens the state first and turns what it does not allow into an error.</summary>
    public static void Attach(Command command, Func<AdminContext, ParseResult, CancellationToken, Task> action) =>
        Attach(command, static (store, cancellationToken) => store.OpenAsync(cancellationToken), action);

    /// <summary>The same for the command that a new installation begins with: it makes the state unless there is one.</summary>
    public static void AttachFirst(Command command, Func<AdminContext, ParseResult, CancellationToken, Task> action) =>
        Attach(command, static (store, cancellationToken) => store.InitializeAsync(cancellationToken), action);

    private static void Attach(
        Command command, Func<IStateStore, CancellationToken, Task> open, Func<AdminContext, ParseResult, CancellationToken, Task> action)
    {
        var state = new Option<string?>("--state") { Description = "State directory", HelpName = "DIR" };
        var json = new Option<bool>("--json") { Description = "Print JSON" };
        command.Options.Add(state);
        command.Options.Add(json);
        command.SetAction(async (result, cancellationToken) =>
        {
            var directory = State.StateDirectory.Resolve(result.GetValue(state));
            var store = new SqliteStateStore(directory, SqliteStateStore.CommandBusyTimeoutSeconds);
            try
            {
                await open(store, cancellationToken);
                await action(new AdminContext(store, directory, result.GetValue(json)), result, cancellationToken);
                return ExitCodes.Success;
            }
            catch (StateException exception)
            {
                await Console.Error.WriteLineAsync($"tunnel-ingress: {exception.Message}");
                return ExitCodes.Failure;
            }
        });
    }

    /// <summary>Prints the outcome in the form that was asked for.</summary>
    public async Task WriteAsync(object document, string text) =>
        await Console.Out.WriteLineAsync(json ? JsonSerializer.Serialize(document, JsonForm) : text);

    /// <summary>Prints a list: JSON, or a table whose columns are as wide as they must be.</summary>
    public Task WriteTableAsync<T>(IReadOnlyList<T> rows, params (string Header, Func<T, string> Cell)[] columns)
        where T : notnull
    {
        string[][] lines = [[.. columns.Select(static column => column.Header)], .. rows.Select(row => columns.Select(column => column.Cell(row)).ToArray())];
        var widths = columns.Select((_, index) => lines.Max(line => line[index].Length)).ToArray();
        var text = string.Join('\n', lines.Select(line => string.Join("  ", line.Select((cell, index) => cell.PadRight(widths[index]))).TrimEnd()));
        return WriteAsync(rows, text);
    }
}
