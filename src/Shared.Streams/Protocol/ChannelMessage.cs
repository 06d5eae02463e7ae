using System.Text.Json.Serialization;

namespace Shared.Streams.Protocol;

/// <summary>A text message of a data channel. docs/protocol.md section 4.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Open), "open")]
[JsonDerivedType(typeof(Opened), "opened")]
[JsonDerivedType(typeof(Refused), "refused")]
[JsonDerivedType(typeof(End), "end")]
[JsonDerivedType(typeof(Reset), "reset")]
[JsonDerivedType(typeof(Leaving), "leaving")]
public abstract record ChannelMessage;

/// <summary>Ingress to connector, or application to ingress: carry this stream.</summary>
/// <param name="Stream">The stream's id, the same in every program's log; empty from an application, because the ingress names streams.</param>
/// <param name="Service">
/// To a connector: the service whose target is to be dialled; its own configuration says where it is. To an ingress: the tunnel hostname.
/// </param>
public sealed record Open(string Stream, string Service) : ChannelMessage;

/// <summary>Connector to ingress, ingress to application: the target is connected; bytes may flow.</summary>
/// <param name="Stream">To an application on a carrier: the id that the ingress gave the stream.</param>
public sealed record Opened([property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Stream = null) : ChannelMessage;

/// <summary>Connector to ingress, ingress to application: the target could not be reached; the channel is closed after it.</summary>
/// <param name="Code">A short stable name, e.g. <c>connection-refused</c>.</param>
/// <param name="Message">One line for people, without addresses of the private network.</param>
/// <param name="Hop">To an application: where it failed, a name of <see cref="Dialing.Hops"/>. A connector's refusals are its target's.</param>
public sealed record Refused(
    string Code, string Message, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Hop = null) : ChannelMessage;

/// <summary>Either way: no more bytes follow in this direction. The TCP FIN of a stream.</summary>
public sealed record End : ChannelMessage;

/// <summary>Either way: the stream is aborted in both directions. The TCP RST of a stream.</summary>
/// <param name="Code">A name of <see cref="AbortCode"/>.</param>
/// <param name="Message">One line for people; may be empty.</param>
public sealed record Reset(string Code, string Message) : ChannelMessage;

/// <summary>
/// Ingress to application, on a carrier: the connector that carries this stream is shutting down and waits for it. The stream goes on.
/// </summary>
public sealed record Leaving : ChannelMessage;
