using System.Text;
using Shared.Streams.Memory;

namespace Shared.Streams.Tests;

/// <summary>What an application says before its target is connected: where it goes, and which of it may reach a target twice.</summary>
public sealed class EarlyDataTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("", true)]
    [InlineData("00000008 04D2162F", true)] // SSLRequest
    [InlineData("00000010 04D2162E 00000001 00000002", true)] // CancelRequest
    [InlineData("00000010 00030000 7573657200610000", true)] // StartupMessage: user a
    [InlineData("00000010 00030000 7573657200610000 51", false)] // … and a query behind it
    [InlineData("00000010 00030000 75736572", false)] // half of it
    [InlineData("00000010 00040000 7573657200610000", false)] // a protocol that nobody knows yet
    [InlineData("16030100 02 0100", true)] // ClientHello
    [InlineData("16030100 02 0100 17", false)] // … and early data behind it
    [InlineData("16030100 02 0200", false)] // another handshake message
    [InlineData("5353482D322E302D780D0A", true)] // SSH-2.0-x
    [InlineData("5353482D322E302D780D0A00", false)]
    [InlineData("474554202F20485454502F312E310D0A0D0A", false)] // GET /
    [InlineData("494E435220780D0A", false)] // INCR x
    public async Task Only_what_asks_for_nothing_may_be_repeated(string hex, bool expected)
    {
        var (application, ours) = MemoryDuplexStream.CreatePair();
        var (target, far) = MemoryDuplexStream.CreatePair();
        var sent = Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));
        await application.WriteAsync(sent, Cancelled);
        var early = new EarlyData(ours);

        early.Start(target);
        if (sent.Length > 0)
        {
            var received = new byte[sent.Length];
            Assert.Equal(sent.Length, await far.ReadAsync(received, Cancelled));
            Assert.Equal(sent, received);
        }

        early.Stop();
        await early.Finished;
        Assert.Equal(Encoding.Latin1.GetString(sent), Encoding.Latin1.GetString(early.Sent.Span));
        Assert.Equal(expected, early.MayRepeat);
        await application.DisposeAsync();
        await far.DisposeAsync();
    }

    [Fact]
    public async Task What_comes_after_the_answer_is_the_reader_s()
    {
        var (application, ours) = MemoryDuplexStream.CreatePair();
        var (target, far) = MemoryDuplexStream.CreatePair();
        var early = new EarlyData(ours);
        early.Start(target);
        await StopAsync(early);

        var rest = early.Rest();
        var reading = ReadAsync(rest);
        await application.WriteAsync("later"u8.ToArray(), Cancelled);

        Assert.Equal("later", await reading);
        Assert.True(early.Sent.IsEmpty);
        await target.CompleteWritesAsync(Cancelled);
        Assert.Equal("", await ReadAsync(far));
        await application.CompleteWritesAsync(Cancelled);
        Assert.Equal("", await ReadAsync(rest));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Next_attempt_hears_what_the_last_one_did_not(bool saysSoBetween)
    {
        var (application, ours) = MemoryDuplexStream.CreatePair();
        var (first, _) = MemoryDuplexStream.CreatePair();
        var (second, far) = MemoryDuplexStream.CreatePair();
        var early = new EarlyData(ours);
        early.Start(first);
        await StopAsync(early);

        if (saysSoBetween)
        {
            await application.WriteAsync("hello"u8.ToArray(), Cancelled);
            early.Start(second);
        }
        else
        {
            early.Start(second);
            await application.WriteAsync("hello"u8.ToArray(), Cancelled);
        }

        Assert.Equal("hello", await ReadAsync(far));
        await StopAsync(early);
        Assert.Equal("hello", await ReadAsync(early.Unread()));
        await application.WriteAsync("more"u8.ToArray(), Cancelled);
        Assert.Equal("more", await ReadAsync(early.Rest()));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_was_taken_too_late_is_not_lost(bool triesAgain)
    {
        var (application, ours) = MemoryDuplexStream.CreatePair();
        var (first, _) = MemoryDuplexStream.CreatePair();
        var (second, far) = MemoryDuplexStream.CreatePair();
        var early = new EarlyData(new FalseAlarms(ours));
        early.Start(first);
        await StopAsync(early);

        await application.WriteAsync("hello"u8.ToArray(), Cancelled);
        if (triesAgain)
        {
            early.Start(second);
            Assert.Equal("hello", await ReadAsync(far));
            await StopAsync(early);
            await application.WriteAsync("more"u8.ToArray(), Cancelled);
        }

        Assert.Equal(triesAgain ? "more" : "hello", await ReadAsync(early.Rest()));
    }

    [Fact]
    public async Task Application_that_leaves_while_it_is_waited_for_is_found_gone()
    {
        var (application, ours) = MemoryDuplexStream.CreatePair();
        var (target, _) = MemoryDuplexStream.CreatePair();
        var early = new EarlyData(ours);
        early.Start(target);
        await StopAsync(early);
        var rest = early.Rest();

        application.Abort(StreamAbort.Dropped);

        await Assert.ThrowsAsync<StreamAbortedException>(() => ReadAsync(rest));
    }

    [Fact]
    public async Task Reader_who_gives_up_does_not_wait_for_the_application()
    {
        var (_, ours) = MemoryDuplexStream.CreatePair();
        var (target, _) = MemoryDuplexStream.CreatePair();
        var early = new EarlyData(ours);
        early.Start(target);
        await StopAsync(early);
        using var cancellation = new CancellationTokenSource();
        var reading = early.Rest().ReadAsync(new byte[1], cancellation.Token).AsTask();

        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading.WaitAsync(Patience, Cancelled));
    }

    private static async Task StopAsync(EarlyData early)
    {
        early.Stop();
        await early.Finished.WaitAsync(Patience, Cancelled);
    }

    private static async Task<string> ReadAsync(DuplexStream stream)
    {
        var buffer = new byte[64];
        return Encoding.Latin1.GetString(buffer, 0, await stream.ReadAsync(buffer, Cancelled).AsTask().WaitAsync(Patience, Cancelled));
    }

    /// <summary>Wakes whoever waits without a buffer though there is nothing, which a stream may.</summary>
    private sealed class FalseAlarms(DuplexStream inner) : DuplexStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            buffer.IsEmpty ? new(0) : inner.ReadAsync(buffer, cancellationToken);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => inner.WriteAsync(buffer, cancellationToken);

        public override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default) => inner.CompleteWritesAsync(cancellationToken);

        public override void Abort(StreamAbort reason) => inner.Abort(reason);

        public override ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
