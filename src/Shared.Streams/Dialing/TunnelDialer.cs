using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using Shared.Streams.WebSockets;

namespace Shared.Streams.Dialing;

/// <summary>
/// Dials a tunnel hostname: each call is one connection to the target. Where our ingress is met directly its streams share carriers, which
/// need no handshake for a new one; elsewhere each is one WebSocket. With our ingress half-close and reset are exact; any other one gets plain
/// bytes. Safe for concurrent use.
/// </summary>
public sealed class TunnelDialer : IDialer, IAsyncDisposable
{
    private const int MaxAttempts = 3;

    private static readonly TimeSpan RawCloseTimeout = TimeSpan.FromSeconds(10);
    private static readonly KeyValuePair<string, string>[] ProtocolHeaders =
        [new(TunnelProtocol.VersionHeader, TunnelProtocol.Version.ToString(System.Globalization.CultureInfo.InvariantCulture))];

    private readonly Uri _uri;
    private readonly WebSocketDialerOptions _options;
    private readonly WebSocketDialer _webSockets;
    private readonly TunnelCarriers _carriers;

    /// <summary>Creates a dialer for <c>wss://host:port/</c>.</summary>
    /// <param name="host">The tunnel hostname.</param>
    /// <param name="port">The ingress's port.</param>
    /// <param name="options">How to reach the ingress.</param>
    public TunnelDialer(string host, int port, WebSocketDialerOptions options)
    {
        _uri = new UriBuilder("wss", host, port, "/").Uri;
        _options = options;
        _webSockets = new WebSocketDialer(options);
        _carriers = new TunnelCarriers(_uri, options);
    }

    /// <summary>Opens a new stream and tells the id that the ingress gave it.</summary>
    /// <param name="early">What the application says meanwhile, which is passed on where that is possible; null when it is not to be listened to yet.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="DialException">The hostname could not be reached; the exception names the hop.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async ValueTask<TunnelStream> OpenAsync(EarlyData? early, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(_options.Timeout, _options.Time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        try
        {
            return await OpenOnCarrierAsync(early, limit.Token) ?? await OpenWebSocketAsync(early, limit.Token);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new DialException(
                Hop.Ingress, "timeout", $"{_uri.Authority} did not open the stream within {_options.Timeout.TotalSeconds:0.#} s.", exception);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<DuplexStream> DialAsync(CancellationToken cancellationToken) => (await OpenAsync(early: null, cancellationToken)).Stream;

    /// <summary>Cuts all streams that share a carrier.</summary>
    public async ValueTask DisposeAsync()
    {
        await _carriers.DisposeAsync();
        _webSockets.Dispose();
    }

    /// <inheritdoc/>
    public override string ToString() => _uri.ToString();

    /// <summary>Null where the ingress takes no carriers.</summary>
    private async ValueTask<TunnelStream?> OpenOnCarrierAsync(EarlyData? early, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var mayRepeat = attempt < MaxAttempts;
            Multiplexer? carrier = null;
            try
            {
                carrier = await _carriers.TakeAsync(cancellationToken);
                if (carrier is null)
                {
                    return null;
                }

                var (stream, answer) = await carrier.OpenAsync(new Open("", _uri.IdnHost), early, cancellationToken);
                switch (answer)
                {
                    case Opened opened:
                        return new TunnelStream(stream, ProtocolCodec.OneLine(opened.Stream));
                    case Refused refused when IsOfCarrier(refused) && mayRepeat:
                        _carriers.Retire(carrier);
                        break;
                    case Refused refused:
                        throw IngressRefusal.From(_uri, Hops.FromWire(refused.Hop ?? "") ?? Hop.Target, refused.Code, refused.Message);
                    default:
                        throw new ProtocolException($"{answer.GetType().Name} in answer to open");
                }
            }
            catch (IOException exception) when (exception is not DialException)
            {
                // The target may have seen what was sent early; doing that twice is mostly not ours to decide. Without a carrier nothing was sent.
                var isHarmless = carrier is null || exception is StreamNotTakenException || early is not { MayRepeat: false };
                if (!mayRepeat || !isHarmless)
                {
                    throw Lost(exception);
                }
            }
        }
    }

    /// <summary>Nothing has happened: the secret has been rotated since the carrier was opened, or its ingress drains: a new one may fare better.</summary>
    private static bool IsOfCarrier(Refused refused) => refused is { Hop: "ingress", Code: "token-refused" or "draining" };

    private async ValueTask<TunnelStream> OpenWebSocketAsync(EarlyData? early, CancellationToken cancellationToken)
    {
        var (webSocket, headers) = await _webSockets.DialAsync(_uri, ProtocolHeaders, pings: false, cancellationToken);
        DuplexStream stream = headers.ContainsKey(TunnelProtocol.VersionHeader)
            ? new ChannelStream(webSocket)
            : new RawWebSocketStream(webSocket, RawCloseTimeout, _options.Time);
        var id = headers.TryGetValue(TunnelProtocol.StreamHeader, out var values) ? ProtocolCodec.OneLine(values.FirstOrDefault()) : "";
        if (early is { Sent.IsEmpty: false })
        {
            await RepeatAsync(early, stream, cancellationToken);
        }

        return new TunnelStream(stream, id);
    }

    /// <summary>What the application has said to a carrier that did not take its stream.</summary>
    private async ValueTask RepeatAsync(EarlyData early, DuplexStream stream, CancellationToken cancellationToken)
    {
        try
        {
            await stream.WriteAsync(early.Sent, cancellationToken);
        }
        catch (StreamAbortedException exception)
        {
            await stream.DisposeAsync();
            throw Lost(exception);
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    private DialException Lost(IOException exception) => new(
        Hop.Ingress, "lost", $"The connection to {_uri.Authority} broke while the stream was opened: {exception.Message.TrimEnd('.')}.", exception);
}

/// <summary>A stream through a tunnel.</summary>
/// <param name="Stream">The bytes.</param>
/// <param name="Id">The ingress's id for it; empty when the ingress tells none.</param>
public readonly record struct TunnelStream(DuplexStream Stream, string Id);
