using Shared.Streams.Protocol;
using Shared.Streams.WebSockets;

namespace Shared.Streams.Dialing;

/// <summary>
/// Dials a tunnel hostname: each call is one WebSocket to the ingress and one connection to the target. Safe for concurrent use.
/// With our ingress it speaks the tunnel protocol, so half-close and reset are exact; any other one gets plain bytes.
/// </summary>
public sealed class TunnelDialer : IDialer, IDisposable
{
    private static readonly TimeSpan RawCloseTimeout = TimeSpan.FromSeconds(10);
    private static readonly KeyValuePair<string, string>[] ProtocolHeaders =
        [new(TunnelProtocol.VersionHeader, TunnelProtocol.Version.ToString(System.Globalization.CultureInfo.InvariantCulture))];

    private readonly Uri _uri;
    private readonly WebSocketDialer _dialer;
    private readonly TimeProvider _time;

    /// <summary>Creates a dialer for <c>wss://host:port/</c>.</summary>
    /// <param name="host">The tunnel hostname.</param>
    /// <param name="port">The ingress's port.</param>
    /// <param name="options">How to reach the ingress.</param>
    public TunnelDialer(string host, int port, WebSocketDialerOptions options)
    {
        _uri = new UriBuilder("wss", host, port, "/").Uri;
        _dialer = new WebSocketDialer(options);
        _time = options.Time;
    }

    /// <summary>Opens a new stream and tells the id that the ingress gave it.</summary>
    /// <exception cref="DialException">The hostname could not be reached; the exception names the hop.</exception>
    public async ValueTask<TunnelStream> OpenAsync(CancellationToken cancellationToken)
    {
        var (webSocket, headers) = await _dialer.DialAsync(_uri, ProtocolHeaders, pings: false, cancellationToken);
        DuplexStream stream = headers.ContainsKey(TunnelProtocol.VersionHeader)
            ? new ChannelStream(webSocket)
            : new RawWebSocketStream(webSocket, RawCloseTimeout, _time);
        var id = headers.TryGetValue(TunnelProtocol.StreamHeader, out var values) ? ProtocolCodec.OneLine(values.FirstOrDefault()) : "";
        return new TunnelStream(stream, id);
    }

    /// <inheritdoc/>
    public async ValueTask<DuplexStream> DialAsync(CancellationToken cancellationToken) => (await OpenAsync(cancellationToken)).Stream;

    /// <inheritdoc/>
    public void Dispose() => _dialer.Dispose();

    /// <inheritdoc/>
    public override string ToString() => _uri.ToString();
}

/// <summary>A stream through a tunnel.</summary>
/// <param name="Stream">The bytes.</param>
/// <param name="Id">The ingress's id for it; empty when the ingress tells none.</param>
public readonly record struct TunnelStream(DuplexStream Stream, string Id);
