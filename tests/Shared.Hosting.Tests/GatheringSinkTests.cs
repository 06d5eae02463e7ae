using System.Diagnostics;
using System.Text;
using Serilog.Events;
using Serilog.Formatting.Display;
using Serilog.Parsing;
using Shared.Hosting.Logging;

namespace Shared.Hosting.Tests;

/// <summary>The log's lines: all of them, in order, soon, and few writes.</summary>
public sealed class GatheringSinkTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Line_is_written_by_itself_after_a_silence_as_within_a_burst()
    {
        using var output = new Output();
        using var sink = Sink(output);
        for (var line = 1; line <= 60; line++)
        {
            sink.Emit(Line(line.ToString("D4"), LogEventLevel.Information));
            if (line % 3 == 0)
            {
                output.WaitForLines(line);

                // Some of them meet the writer while it goes to sleep, which it does a moment after it had nothing to write.
                await Task.Delay(line, TestContext.Current.CancellationToken);
            }
        }

        Assert.Equal(Enumerable.Range(1, 60).Select(static line => line.ToString("D4")), output.Lines);
    }

    [Fact]
    public async Task Error_does_not_wait_for_others()
    {
        using var output = new Output();
        using var sink = Sink(output);

        sink.Emit(Line("why", LogEventLevel.Information));
        sink.Emit(Line("what", LogEventLevel.Error));

        output.WaitForLines(2);
    }

    [Fact]
    public async Task Nothing_is_lost_or_mixed_when_many_log_at_once_and_the_program_ends()
    {
        const int Threads = 8;
        const int Each = GatheringSink.MaxWaiting / Threads;
        using var output = new Output();
        var clock = Stopwatch.StartNew();
        using (var sink = Sink(output))
        {
            await Task.WhenAll(Enumerable.Range(0, Threads).Select(thread => Task.Run(() =>
            {
                for (var line = 0; line < Each; line++)
                {
                    sink.Emit(Line($"{thread} {line}", LogEventLevel.Information));
                }
            })));
        }

        // On a busy machine the end of the program does not wait until the writer is done.
        output.WaitForLines(Threads * Each);
        var lines = output.Lines.Select(static line => line.Split(' ')).ToLookup(static line => line[0], static line => int.Parse(line[1]));
        Assert.Equal(Threads, lines.Count);
        Assert.All(lines, static thread => Assert.Equal(Enumerable.Range(0, Each), thread));

        // However long it took, and with one at the end: a write gathers for 25 ms.
        Assert.InRange(output.Writes, 1, (clock.ElapsedMilliseconds / 20) + 3);
    }

    [Fact]
    public async Task Reader_who_has_stalled_holds_up_nobody_and_is_told_later_what_he_has_missed()
    {
        const int TooMany = 500;
        using var output = new Output();
        using var sink = Sink(output);
        output.Stall();
        sink.Emit(Line("first", LogEventLevel.Error));
        output.WaitForLines(1);

        // Whoever logs would not come out of this loop if he had to wait.
        for (var line = 0; line < GatheringSink.MaxWaiting + TooMany; line++)
        {
            sink.Emit(Line("line", LogEventLevel.Error));
        }

        output.GoOn();
        output.WaitForLines(GatheringSink.MaxWaiting + 2);
        Assert.Equal($"{TooMany} lines of the log are missing here: whoever reads it was too slow", output.Lines[^1]);
    }

    [Fact]
    public async Task Reader_who_has_stalled_does_not_keep_the_program_from_ending()
    {
        using var output = new Output();
        var sink = Sink(output);
        output.Stall();
        sink.Emit(Line("first", LogEventLevel.Error));
        output.WaitForLines(1);

        await Task.Run(sink.Dispose).WaitAsync(Patience, TestContext.Current.CancellationToken);

        output.GoOn();
    }

    [Fact]
    public async Task Reader_who_has_gone_does_not_end_the_program()
    {
        using var output = new Output { IsBroken = true };
        using var sink = Sink(output);
        sink.Emit(Line("nobody", LogEventLevel.Error));
        output.WaitForLines(1);
    }

    private static GatheringSink Sink(Stream output) => new(new MessageTemplateTextFormatter("{Message:l}{NewLine}"), output);

    private static LogEvent Line(string text, LogEventLevel level) =>
        new(DateTimeOffset.UnixEpoch, level, exception: null, new MessageTemplate(text, [new TextToken(text)]), []);

    /// <summary>Keeps what is written, and what of it was whole lines. Holds nothing to dispose of, because whoever writes may outlive the sink.</summary>
    private sealed class Output : MemoryStream
    {
        private readonly object _gate = new();
        private readonly StringBuilder _text = new();
        private bool _isStalled;
        private int _writes;

        public bool IsBroken { get; init; }

        public int Writes
        {
            get
            {
                lock (_gate)
                {
                    return _writes;
                }
            }
        }

        public string[] Lines
        {
            get
            {
                lock (_gate)
                {
                    return _text.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries);
                }
            }
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            lock (_gate)
            {
                _writes++;
                _text.Append(Encoding.UTF8.GetString(buffer));
                Monitor.PulseAll(_gate);
                while (_isStalled)
                {
                    Monitor.Wait(_gate);
                }
            }

            if (IsBroken)
            {
                throw new IOException("Broken pipe");
            }
        }

        public void Stall()
        {
            lock (_gate)
            {
                _isStalled = true;
            }
        }

        public void GoOn()
        {
            lock (_gate)
            {
                _isStalled = false;
                Monitor.PulseAll(_gate);
            }
        }

        public void WaitForLines(int count)
        {
            lock (_gate)
            {
                while (Lines.Length < count)
                {
                    Assert.True(Monitor.Wait(_gate, Patience), $"{Lines.Length} of {count} lines");
                }
            }
        }
    }
}
