using System.Text;
using Shared.Streams.Memory;

namespace Shared.Streams.Tests;

/// <summary>Which first words of an application may reach a target twice.</summary>
public sealed class EarlyDataTests
{
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
        using var early = new EarlyData(ours);

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
}
