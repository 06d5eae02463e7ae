using Shared.Streams.Memory;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using Shared.Streams.Sockets;

namespace Shared.Streams.Tests.Conformance;

public sealed class MultiplexedOverMemoryConformance : DuplexStreamConformance
{
    protected override bool TellsLeaving => true;

    protected override Task<StreamPair> ConnectAsync()
    {
        var (left, right) = MemoryDuplexStream.CreatePair();
        return Carriers.OverAsync(new StreamPair(left, right));
    }
}

/// <summary>The end that opens streams is one that understands only what version 1 began with.</summary>
public sealed class MultiplexedToOlderPeerConformance : DuplexStreamConformance
{
    protected override Task<StreamPair> ConnectAsync()
    {
        var (left, right) = MemoryDuplexStream.CreatePair();
        return Carriers.OverAsync(new StreamPair(left, right), knowsLeaving: false);
    }
}

public sealed class MultiplexedOverTlsConformance : DuplexStreamConformance
{
    protected override int Bulk => 64 * 1024 * 1024;

    protected override bool TellsLeaving => true;

    protected override async Task<StreamPair> ConnectAsync() =>
        await Carriers.OverAsync(await Tls.OverAsync(await Sockets.ConnectAsync(ListenAddress.Parse("127.0.0.1:0"))));
}

public sealed class MultiplexedOverWebSocketConformance : DuplexStreamConformance
{
    protected override bool TellsLeaving => true;

    protected override async Task<StreamPair> ConnectAsync() => await Carriers.OverAsync(await Channels.ConnectAsync(tls: false));
}

public sealed class TlsInsideMultiplexedConformance : DuplexStreamConformance
{
    protected override async Task<StreamPair> ConnectAsync()
    {
        var (left, right) = MemoryDuplexStream.CreatePair();
        return await Tls.OverAsync(await Carriers.OverAsync(new StreamPair(left, right)));
    }
}

internal static class Carriers
{
    /// <summary>One stream on a carrier over a pair, beside one that nobody reads and that has used up its credit.</summary>
    public static async Task<StreamPair> OverAsync(StreamPair inner, bool knowsLeaving = true)
    {
        var carrier = new CarrierPair(inner, knowsLeaving);
        var stalled = await carrier.OpenAsync();
        await stalled.Left.WriteAsync(new byte[256 * 1024], TestContext.Current.CancellationToken);
        await stalled.Right.WriteAsync(new byte[256 * 1024], TestContext.Current.CancellationToken);
        var pair = await carrier.OpenAsync();
        return new StreamPair(pair.Left, pair.Right, carrier);
    }
}

/// <summary>Two multiplexers that are connected.</summary>
internal sealed class CarrierPair : IAsyncDisposable
{
    private readonly StreamPair _inner;
    private readonly System.Threading.Channels.Channel<IncomingStream> _incoming = System.Threading.Channels.Channel.CreateUnbounded<IncomingStream>();

    public CarrierPair(StreamPair inner, bool knowsLeaving = true, TimeProvider? time = null)
    {
        _inner = inner;
        Opener = new Multiplexer(inner.Left, time ?? TimeProvider.System);
        Acceptor = new Multiplexer(inner.Right, time ?? TimeProvider.System, incoming => _incoming.Writer.TryWrite(incoming)) { PeerKnowsLeaving = knowsLeaving };
        (OpenerRun, AcceptorRun) = (Opener.RunAsync(), Acceptor.RunAsync());
    }

    public Multiplexer Opener { get; }

    public Multiplexer Acceptor { get; }

    public Task OpenerRun { get; }

    public Task AcceptorRun { get; }

    public ValueTask<IncomingStream> NextAsync() => _incoming.Reader.ReadAsync(TestContext.Current.CancellationToken);

    /// <summary>Opens a stream; both of its ends.</summary>
    public async Task<(DuplexStream Left, DuplexStream Right)> OpenAsync()
    {
        var left = Opener.Open(new Open("stream", "service"));
        var incoming = await NextAsync();
        var right = await incoming.AcceptAsync(TestContext.Current.CancellationToken);
        Assert.IsType<Opened>(await left.Answer.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        return (left, right);
    }

    public async ValueTask DisposeAsync()
    {
        Opener.Abort(StreamAbort.Dropped);
        Acceptor.Abort(StreamAbort.Dropped);
        await Task.WhenAll(OpenerRun, AcceptorRun).ContinueWith(static _ => { }, TaskScheduler.Default).WaitAsync(TimeSpan.FromSeconds(30));
        await _inner.DisposeAsync();
    }
}
