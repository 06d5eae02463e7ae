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
        await using var output = new Output();
        using var sink = Sink(output);
        for (var line = 1; line <= 60; line++)
        {
            sink.Emit(Line(line.ToString("D4"), LogEventLevel.Information));
            if (line % 3 == 0)
            {
                await output.WaitForLinesAsync(line, Patience);

                // Some of them meet the writer while it goes to sleep, which it does a moment after it had nothing to write.
                await Task.Delay(line, TestContext.Current.CancellationToken);
            }
        }

        Assert.Equal(Enumerable.Range(1, 60).Select(static line => line.ToString("D4")), output.Lines);
    }

    [Fact]
    public async Task Error_does_not_wait_for_others()
    {
        await using var output = new Output();
        using var sink = Sink(output);

        sink.Emit(Line("why", LogEventLevel.Information));
        sink.Emit(Line("what", LogEventLevel.Error));

        await output.WaitForLinesAsync(2, Patience);
    }

    [Fact]
    public async Task Nothing_is_lost_or_mixed_when_many_log_at_once_and_the_program_ends()
    {
        const int Threads = 8;
        const int Each = GatheringSink.MaxWaiting / Threads;
        await using var output = new Output();
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

        var lines = output.Lines.Select(static line => line.Split(' ')).ToLookup(static line => line[0], static line => int.Parse(line[1]));
        Assert.Equal(Threads, lines.Count);
        Assert.All(lines, static thread => Assert.Equal(Enumerable.Range(0, Each), thread));
        Assert.True(output.Writes < Threads * Each / 100, $"{output.Writes} writes");
    }

    [Fact]
    public async Task Reader_who_has_stalled_holds_up_nobody_and_is_told_later_what_he_has_missed()
    {
        const int TooMany = 500;
        await using var output = new Output();
        using var sink = Sink(output);
        output.Stall();
        sink.Emit(Line("first", LogEventLevel.Error));
        await output.WaitForWriteAsync(Patience);

        // Whoever logs would not come out of this loop if he had to wait.
        for (var line = 0; line < GatheringSink.MaxWaiting + TooMany; line++)
        {
            sink.Emit(Line("line", LogEventLevel.Error));
        }

        output.GoOn();
        await output.WaitForLinesAsync(GatheringSink.MaxWaiting + 2, Patience);
        Assert.Equal($"{TooMany} lines of the log are missing here: whoever reads it was too slow", output.Lines[^1]);
    }

    [Fact]
    public async Task Reader_who_has_stalled_does_not_keep_the_program_from_ending()
    {
        await using var output = new Output();
        var sink = Sink(output);
        output.Stall();
        sink.Emit(Line("first", LogEventLevel.Error));
        await output.WaitForWriteAsync(Patience);

        await Task.Run(sink.Dispose).WaitAsync(Patience, TestContext.Current.CancellationToken);

        output.GoOn();
    }

    [Fact]
    public async Task Reader_who_has_gone_does_not_end_the_program()
    {
        await using var output = new Output { IsBroken = true };
        using var sink = Sink(output);
        sink.Emit(Line("nobody", LogEventLevel.Error));
        await output.WaitForWriteAsync(Patience);
    }

    private static GatheringSink Sink(Stream output) => new(new MessageTemplateTextFormatter("{Message:l}{NewLine}"), output);

    private static LogEvent Line(string text, LogEventLevel level) =>
        new(DateTimeOffset.UnixEpoch, level, exception: null, new MessageTemplate(text, [new TextToken(text)]), []);

    /// <summary>Keeps what is written, and what of it was whole lines.</summary>
    private sealed class Output : MemoryStream
    {
        private readonly Lock _gate = new();
        private readonly SemaphoreSlim _written = new(0);
        private readonly StringBuilder _text = new();
        private readonly ManualResetEventSlim _reads = new(initialState: true);

        public bool IsBroken { get; init; }

        public int Writes { get; private set; }

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
                Writes++;
                _text.Append(Encoding.UTF8.GetString(buffer));
            }

            _written.Release();
            _reads.Wait();
            if (IsBroken)
            {
                throw new IOException("Broken pipe");
            }
        }

        public void Stall() => _reads.Reset();

        public void GoOn() => _reads.Set();

        public Task WaitForWriteAsync(TimeSpan patience) => WaitForLinesAsync(1, patience);

        public async Task WaitForLinesAsync(int count, TimeSpan patience)
        {
            while (Lines.Length < count)
            {
                Assert.True(await _written.WaitAsync(patience, TestContext.Current.CancellationToken), $"{Lines.Length} of {count} lines");
            }
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                _written.Dispose();
                _reads.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
