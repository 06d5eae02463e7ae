using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Tunnel.Testing;

/// <summary>
/// One of our programs, or any other, as a real process. What it writes is kept (bounded), and its JSON log lines can be waited for.
/// </summary>
public sealed class ProgramProcess : IAsyncDisposable
{
    // More than the whole suite makes a program write: what is not kept could not be waited for.
    private const int KeptLines = 200_000;

    // So much of a line tells what it is about.
    private const int ShownOfLine = 500;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static readonly List<ProgramProcess> Running = [];

    private readonly Process _process;
    private readonly List<string> _lines = [];
    private readonly List<LogEvent> _events = [];
    private readonly List<(Func<LogEvent, bool> Which, TaskCompletionSource<LogEvent> Seen)> _waiting = [];

    private readonly string _name;

    private ProgramProcess(Process process, string name)
    {
        (_process, _name) = (process, name);
    }

    /// <summary>The process id.</summary>
    public int Id => _process.Id;

    /// <summary>All lines it wrote so far.</summary>
    public string Output
    {
        get
        {
            lock (_lines)
            {
                return string.Join('\n', _lines);
            }
        }
    }

    /// <summary>All that were started and not disposed of yet, with how much they have written so far.</summary>
    public static IReadOnlyList<(ProgramProcess Process, int Lines)> All()
    {
        lock (Running)
        {
            return [.. Running.Select(static process => (process, process.LineCount))];
        }
    }

    /// <summary>Starts a program.</summary>
    /// <param name="program">One of <c>tunnel-ingress</c>, <c>tunnel-connector</c>, <c>tunnel-pooler</c>, or a path.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="environment">Variables on top of ours.</param>
    /// <param name="descriptors">How many file descriptors it may have; as many as we without it.</param>
    public static ProgramProcess Start(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null, int? descriptors = null)
    {
        var process = new Process { StartInfo = CommandLine.StartInfo(program, arguments, environment) };
        if (descriptors is { } limit)
        {
            process.StartInfo = CommandLine.StartInfo(
                "sh", ["-c", $"ulimit -n {limit}; exec \"$0\" \"$@\"", process.StartInfo.FileName, .. process.StartInfo.ArgumentList], environment);
        }

        var started = new ProgramProcess(process, program);
        process.OutputDataReceived += (_, line) => started.OnLine(line.Data);
        process.ErrorDataReceived += (_, line) => started.OnLine(line.Data);
        process.StartInfo.RedirectStandardInput = true;
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        lock (Running)
        {
            Running.Add(started);
        }

        return started;
    }

    /// <summary>Waits for a log event, written already or yet to come.</summary>
    /// <param name="name">The event's name.</param>
    /// <param name="which">Which of that name; any by default.</param>
    /// <exception cref="TimeoutException">It did not come, or the program has ended without it; the message holds the log's tail.</exception>
    public async Task<LogEvent> WaitForAsync(string name, Func<LogEvent, bool>? which = null)
    {
        bool Fits(LogEvent seen) => seen.Name == name && (which is null || which(seen));
        var waiter = new TaskCompletionSource<LogEvent>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lines)
        {
            if (_events.Find(Fits) is { } seen)
            {
                return seen;
            }

            _waiting.Add((Fits, waiter));
        }

        using var limit = new CancellationTokenSource(Patience);

        // The end of a process is known when all that it wrote has been seen.
        var ended = _process.WaitForExitAsync(limit.Token);
        await Task.WhenAny(waiter.Task, ended);
        await limit.CancelAsync();
        return waiter.Task.IsCompleted
            ? await waiter.Task
            : throw new TimeoutException($"{this} {(ended.IsCompletedSuccessfully ? $"ended with {_process.ExitCode} and" : "")} did not log {name} within {Patience.TotalSeconds} s. It wrote:\n{Tail()}");
    }

    /// <summary>How often an event has been logged so far.</summary>
    public int Count(string name, Func<LogEvent, bool>? which = null)
    {
        lock (_lines)
        {
            return _events.Count(seen => seen.Name == name && (which is null || which(seen)));
        }
    }

    /// <summary>Ends its standard input.</summary>
    public void CloseInput() => _process.StandardInput.Close();

    /// <summary>Sends a signal: TERM, KILL, STOP, CONT, HUP, INT. Nothing happens when it has ended: its id may be another process's by then.</summary>
    public async Task SignalAsync(string signal)
    {
        if (!_process.HasExited)
        {
            await CommandLine.RunAsync("kill", [$"-{signal}", Id.ToString(CultureInfo.InvariantCulture)]);
        }
    }

    /// <summary>Lets it open no file, socket or pipe whose number is not below a limit; those that are open stay.</summary>
    public async Task LimitFilesAsync(int limit) =>
        (await CommandLine.RunAsync("prlimit", ["--pid", Id.ToString(CultureInfo.InvariantCulture), $"--nofile={limit}:"])).EnsureSuccess();

    /// <summary>Waits for the end.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> WaitForExitAsync(TimeSpan? timeout = null)
    {
        using var limit = new CancellationTokenSource(timeout ?? Patience);
        try
        {
            await _process.WaitForExitAsync(limit.Token);
            return _process.ExitCode;
        }
        catch (OperationCanceledException exception)
        {
            throw new TimeoutException($"{this} did not end. It wrote:\n{Tail()}", exception);
        }
    }

    /// <summary>Resident memory in bytes.</summary>
    public long ResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        lock (Running)
        {
            Running.Remove(this);
        }

        _process.Dispose();
    }

    /// <inheritdoc/>
    public override string ToString() => _name;

    /// <summary>The last lines that it wrote, each shortened.</summary>
    /// <param name="most">So many at most.</param>
    /// <param name="after">Without the first so many of all that it wrote.</param>
    public string Tail(int most = 40, int after = 0)
    {
        lock (_lines)
        {
            return string.Join('\n', _lines.Skip(after).TakeLast(most).Select(static line => line.Length > ShownOfLine ? $"{line[..ShownOfLine]}…" : line));
        }
    }

    private int LineCount
    {
        get
        {
            lock (_lines)
            {
                return _lines.Count;
            }
        }
    }

    private void OnLine(string? line)
    {
        if (line is null)
        {
            return;
        }

        lock (_lines)
        {
            if (_lines.Count < KeptLines)
            {
                _lines.Add(line);
            }

            if (LogEvent.TryParse(line) is { } seen)
            {
                if (_events.Count < KeptLines)
                {
                    _events.Add(seen);
                }

                foreach (var (which, waiter) in _waiting.ToArray())
                {
                    if (which(seen))
                    {
                        waiter.TrySetResult(seen);
                    }
                }

                _waiting.RemoveAll(static waiting => waiting.Seen.Task.IsCompleted);
            }
        }
    }
}

/// <summary>A JSON log line.</summary>
/// <param name="Name">The event's name.</param>
/// <param name="Properties">All of the line.</param>
public sealed record LogEvent(string Name, JsonElement Properties)
{
    /// <summary>A property as text; empty when the line does not have it.</summary>
    public string this[string property] => Properties.TryGetProperty(property, out var value) ? value.ToString() : "";

    internal static LogEvent? TryParse(string line)
    {
        if (!line.StartsWith('{'))
        {
            return null;
        }

        try
        {
            using var document = JsonDocument.Parse(line);
            return document.RootElement.TryGetProperty("EventId", out var id) && id.TryGetProperty(nameof(Name), out var name)
                ? new LogEvent(name.ToString(), document.RootElement.Clone())
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
