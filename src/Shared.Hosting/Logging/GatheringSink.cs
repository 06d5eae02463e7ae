using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting;

namespace Shared.Hosting.Logging;

/// <summary>
/// Writes lines to standard error a few milliseconds after they were logged, all of that time with one system call and on a thread of its
/// own: whoever logs neither waits for the reader of standard error nor wakes another thread for each line. Safe for concurrent use.
/// </summary>
/// <remarks>A line of the level Error or above is written without that delay. No line is lost: beyond the bound, who logs writes.</remarks>
internal sealed class GatheringSink : ILogEventSink, IDisposable
{
    private const int MaxWaiting = 10_000;
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(10);

    private readonly ITextFormatter _formatter;
    private readonly ConcurrentQueue<LogEvent> _waiting = new();
    private readonly StringWriter _text = new(CultureInfo.InvariantCulture);
    private readonly Stream _output = Console.OpenStandardError();
    private readonly Lock _writing = new();

    [SuppressMessage("Reliability", "CA2213", Justification = "Who logs while the program ends may still set it.")]
    private readonly AutoResetEvent _logged = new(false);

    [SuppressMessage("Reliability", "CA2213", Justification = "Who logs while the program ends may still set it.")]
    private readonly AutoResetEvent _urgent = new(false);

    private readonly Thread _writer;
    private int _armed;
    private volatile bool _ending;
    private bool _disposed;

    public GatheringSink(ITextFormatter formatter)
    {
        _formatter = formatter;

        // A timer would wake its own thread and one of the thread pool for each batch, which spins before it sleeps again.
        _writer = new Thread(Run) { IsBackground = true, Name = "log" };
        _writer.Start();
    }

    /// <inheritdoc/>
    public void Emit(LogEvent logEvent)
    {
        _waiting.Enqueue(logEvent);
        if (_waiting.Count > MaxWaiting)
        {
            Write();
            return;
        }

        var isUrgent = logEvent.Level >= LogEventLevel.Error;
        if (isUrgent)
        {
            _urgent.Set();
        }

        if (Interlocked.Exchange(ref _armed, 1) == 0 || isUrgent)
        {
            _logged.Set();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ending = true;
        _urgent.Set();
        _logged.Set();
        _writer.Join();
        Write();
        lock (_writing)
        {
            _disposed = true;
            _text.Dispose();
            _output.Dispose();
        }
    }

    private void Run()
    {
        while (!_ending)
        {
            _logged.WaitOne();
            _urgent.WaitOne(Delay);
            Write();
        }
    }

    private void Write()
    {
        lock (_writing)
        {
            if (_disposed)
            {
                return;
            }

            // A full fence: a line that is not seen now must find it unarmed.
            Interlocked.Exchange(ref _armed, 0);
            while (_waiting.TryDequeue(out var line))
            {
                _formatter.Format(line, _text);
            }

            var text = _text.GetStringBuilder();
            if (text.Length > 0)
            {
                Write(Encoding.UTF8.GetBytes(text.ToString()));
                text.Clear();
            }
        }
    }

    private void Write(byte[] text)
    {
        try
        {
            _output.Write(text);
        }
        catch (IOException)
        {
            // Nobody reads standard error any more, so there is nobody to tell; the streams go on.
        }
    }
}
