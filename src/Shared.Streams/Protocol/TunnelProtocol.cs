namespace Shared.Streams.Protocol;

/// <summary>The fixed points of the tunnel protocol: paths, headers, limits and waits. docs/protocol.md is the specification.</summary>
public static class TunnelProtocol
{
    /// <summary>The version this program speaks. A peer that speaks another one is refused with a message that says both.</summary>
    public const int Version = 1;

    /// <summary>The path of the control channel, on any host name that reaches the ingress.</summary>
    public const string ControlPath = "/.tunnel/v1/control";

    /// <summary>The path of data channels.</summary>
    public const string DataPath = "/.tunnel/v1/data";

    /// <summary>The path of a carrier, which many streams share.</summary>
    public const string CarrierPath = "/.tunnel/v1/carrier";

    /// <summary>What a carrier that is no WebSocket is called in the TLS handshake (ALPN, RFC 7301).</summary>
    public const string CarrierApplicationProtocol = "tunnel/1";

    /// <summary>The feature of who understands <see cref="Leaving"/>.</summary>
    public const string LeavingFeature = "leaving";

    /// <summary>
    /// What this program understands of a carrier beyond what version 1 began with. A peer that does not name a feature is sent nothing of it.
    /// </summary>
    public static readonly IReadOnlyList<string> Features = [LeavingFeature];

    /// <summary>
    /// On an upgrade request: the caller understands text messages (end, reset) beside the raw bytes. On the answer: so does the ingress.
    /// Without it, a tunnel hostname speaks plain bytes to any WebSocket TCP client.
    /// </summary>
    public const string VersionHeader = "Tunnel-Protocol";

    /// <summary>On the upgrade of a data channel or a carrier: the session that its control channel was registered under.</summary>
    public const string SessionHeader = "Tunnel-Session";

    /// <summary>On the answer of a tunnel hostname: the stream's id, so that every program's log names it alike.</summary>
    public const string StreamHeader = "Tunnel-Stream";

    /// <summary>On each answer of an HTTP service, and on the request that its origin gets: the request's id, which the ingress logs.</summary>
    public const string RequestHeader = "Tunnel-Request";

    /// <summary>On a refused upgrade: <c>hop/code</c>, for example <c>connector/offline</c>.</summary>
    public const string ErrorHeader = "Tunnel-Error";

    /// <summary>On a refused upgrade: one line for people.</summary>
    public const string ErrorDetailHeader = "Tunnel-Error-Detail";

    /// <summary>The largest binary message sent, in bytes. Received ones may have any size and be fragmented in any way.</summary>
    public const int MaxPayload = 64 * 1024;

    /// <summary>The largest text message on a control channel, in bytes; a larger one ends the channel.</summary>
    public const int MaxControlMessage = 64 * 1024;

    /// <summary>The largest text message on a data channel, in bytes; a larger one aborts the stream.</summary>
    public const int MaxChannelMessage = 4 * 1024;

    /// <summary>The most services one connector may announce.</summary>
    public const int MaxServices = 1000;

    /// <summary>The most data channels one connector may keep parked at an ingress.</summary>
    public const int MaxParkedChannels = 512;

    /// <summary>The most carriers one connector may keep at an ingress.</summary>
    public const int MaxCarriers = 16;

    /// <summary>How long either end of a control channel waits for the other to finish the registration.</summary>
    public static readonly TimeSpan RegistrationTimeout = TimeSpan.FromSeconds(10);

    /// <summary>How often either end of a control channel pings the other when it hears nothing (RFC 6455 section 5.5.2).</summary>
    public static readonly TimeSpan PingInterval = TimeSpan.FromSeconds(3);

    /// <summary>How long a ping may stay unanswered before the peer counts as dead. With the interval: noticed within 8 s.</summary>
    public static readonly TimeSpan PingTimeout = TimeSpan.FromSeconds(4);

    /// <summary>
    /// How often a data channel sends an unsolicited pong (RFC 6455 section 5.5.3), so that no middlebox cuts an idle stream.
    /// No answer is waited for: behind unread data a pong would be late, and a healthy stream would be cut.
    /// </summary>
    public static readonly TimeSpan DataKeepAlive = TimeSpan.FromSeconds(30);
}
