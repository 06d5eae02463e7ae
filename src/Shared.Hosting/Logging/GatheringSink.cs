using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting;
using Serilog.Parsing;

namespace Shared.Hosting.Logging;

/// <summary>
/// Writes lines to a stream some milliseconds after they were logged, all of that time with one system call and on a thread of its
/// own: whoever logs does not wait for its reader, and wakes another thread only after a silence. Safe for concurrent use.
/// </summary>
/// <remarks>
/// A line of the level Error or above is written without that delay. A reader who does not read holds up nobody: of so many lines that wait for
/// him the newest are lost, and he is told how many.
/// </remarks>
internal sealed class GatheringSink : ILogEventSink, IDisposable
{
    /// <summary>So many lines wait at most.</summary>
    internal const int MaxWaiting = 20_000;

    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(25);

    /// <summary>What a reader who has stalled gets at the end of the program.</summary>
    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(1);

    private readonly ITextFormatter _formatter;
    private readonly ConcurrentQueue<LogEvent> _waiting = new();
    private readonly StringWriter _text = new(CultureInfo.InvariantCulture);
    private readonly Stream _output;
    private readonly Lock _writing = new();

    [SuppressMessage("Reliability", "CA2213", Justification = "Who logs while the program ends may still set it.")]
    private readonly AutoResetEvent _logged = new(false);

    [SuppressMessage("Reliability", "CA2213", Justification = "Who logs while the program ends may still set it.")]
    private readonly AutoResetEvent _urgent = new(false);

    private readonly Thread _writer;
    private int _armed;
    private int _lost;
    private volatile bool _ending;
    private bool _disposed;

    /// <param name="formatter">The form of a line.</param>
    /// <param name="output">Where lines go; closed at the end.</param>
    public GatheringSink(ITextFormatter formatter, Stream output)
    {
        (_formatter, _output) = (formatter, output);

        // A timer would wake its own thread and one of the thread pool for each batch, which spins before it sleeps again.
        _writer = new Thread(Run) { IsBackground = true, Name = "log" };
        _writer.Start();
    }

    /// <inheritdoc/>
    public void Emit(LogEvent logEvent)
    {
        if (_waiting.Count >= MaxWaiting)
        {
            Interlocked.Increment(ref _lost);
            return;
        }

        _waiting.Enqueue(logEvent);
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
        if (!_writer.Join(Farewell))
        {
            // It waits for the reader still, and ends with the process.
            return;
        }

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
            do
            {
                _urgent.WaitOne(Delay);
                if (_waiting.IsEmpty)
                {
                    // A full fence: a line that is not seen now must find it unarmed.
                    Interlocked.Exchange(ref _armed, 0);
                }

                Write();
            }
            while (Volatile.Read(ref _armed) != 0 && !_ending);
        }

        // Whoever ends the program does not wait for long, and what came with the last write would be lost with him.
        Write();
    }

    private void Write()
    {
        lock (_writing)
        {
            if (_disposed)
            {
                return;
            }

            while (_waiting.TryDequeue(out var line))
            {
                _formatter.Format(line, _text);
            }

            if (Interlocked.Exchange(ref _lost, 0) is var lost and > 0)
            {
                _formatter.Format(Lost(lost), _text);
            }

            var text = _text.GetStringBuilder();
            if (text.Length > 0)
            {
                Write(Encoding.UTF8.GetBytes(text.ToString()));
                text.Clear();
            }
        }
    }

    private static LogEvent Lost(int lines)
    {
        var message = new MessageTemplateParser().Parse("{Lines} lines of the log are missing here: whoever reads it was too slow");
        return new LogEvent(DateTimeOffset.Now, LogEventLevel.Warning, exception: null, message, [new LogEventProperty("Lines", new ScalarValue(lines))]);
    }

    private void Write(byte[] text)
    {
        try
        {
            _output.Write(text);
        }
        catch (IOException)
        {
            // Nobody reads it any more, so there is nobody to tell; the streams go on.
        }
    }
}
