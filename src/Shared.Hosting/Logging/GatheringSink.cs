using System.Collections.Concurrent;
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
    private readonly ITimer _timer;
    private int _armed;
    private bool _disposed;

    public GatheringSink(ITextFormatter formatter)
    {
        _formatter = formatter;
        _timer = TimeProvider.System.CreateTimer(
            static sink => ((GatheringSink)sink!).Write(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc/>
    public void Emit(LogEvent logEvent)
    {
        _waiting.Enqueue(logEvent);
        if (_waiting.Count > MaxWaiting)
        {
            Write();
        }
        else if (logEvent.Level >= LogEventLevel.Error)
        {
            _timer.Change(TimeSpan.Zero, Timeout.InfiniteTimeSpan);
        }
        else if (Interlocked.Exchange(ref _armed, 1) == 0)
        {
            _timer.Change(Delay, Timeout.InfiniteTimeSpan);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _timer.Dispose();
        Write();
        lock (_writing)
        {
            _disposed = true;
            _text.Dispose();
            _output.Dispose();
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

            Volatile.Write(ref _armed, 0);
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
