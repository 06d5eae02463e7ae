using System.Diagnostics;

namespace Tunnel.Bench.Processes;

/// <summary>A program that runs until it is told to stop. Keeps the last lines it wrote, for the message when it ends early.</summary>
internal sealed class Daemon : IAsyncDisposable
{
    private const int KeptLines = 10;
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(10);

    private readonly Queue<string> _lastLines = new();
    private readonly Process _process;
    private readonly string _program;

    private readonly string _stopSignal;

    /// <param name="program">Its path, or its name when it is in PATH.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="stopSignal">The signal that makes it end in order.</param>
    /// <param name="environment">What is set in its environment besides our own.</param>
    public Daemon(string program, IEnumerable<string> arguments, string stopSignal = "TERM", IReadOnlyDictionary<string, string>? environment = null)
    {
        _program = Path.GetFileName(program);
        _stopSignal = stopSignal;
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        _process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        _process.StandardInput.Close();
        // Both are read all the time, because a full pipe would stop the program.
        _process.OutputDataReceived += (_, line) => Keep(line.Data);
        _process.ErrorDataReceived += (_, line) => Keep(line.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public int Id => _process.Id;

    /// <exception cref="InvalidOperationException">It has ended; the message holds what it said last.</exception>
    public void ThrowIfEnded()
    {
        if (_process.HasExited)
        {
            lock (_lastLines)
            {
                throw new InvalidOperationException($"{_program} ended with status {_process.ExitCode}: {string.Join(" / ", _lastLines)}");
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            // .NET can only kill; the shell can send any signal.
            using var signal = Process.Start("sh", ["-c", $"kill -{_stopSignal} {_process.Id}"]);
            using var limit = new CancellationTokenSource(StopPatience);
            try
            {
                await _process.WaitForExitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                _process.Kill(entireProcessTree: true);
            }
        }

        _process.Dispose();
    }

    private void Keep(string? line)
    {
        if (line is null)
        {
            return;
        }

        lock (_lastLines)
        {
            _lastLines.Enqueue(line);
            if (_lastLines.Count > KeptLines)
            {
                _lastLines.Dequeue();
            }
        }
    }
}
