using System.Text.Json.Serialization;

namespace Shared.Streams.Protocol;

/// <summary>A text message of the control channel. docs/protocol.md section 3.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Register), "register")]
[JsonDerivedType(typeof(Registered), "registered")]
[JsonDerivedType(typeof(RegistrationRefused), "refused")]
[JsonDerivedType(typeof(Announce), "announce")]
[JsonDerivedType(typeof(ServicesRejected), "services-rejected")]
[JsonDerivedType(typeof(Demand), "demand")]
[JsonDerivedType(typeof(Drain), "drain")]
public abstract record ControlMessage;

/// <summary>Connector to ingress, first message: who I am and what I can reach.</summary>
/// <param name="Version">The protocol version.</param>
/// <param name="Connector">The instance's own id, unique among replicas; for logs and lists.</param>
/// <param name="Services">The names of the services whose targets its configuration holds.</param>
public sealed record Register(int Version, string Connector, IReadOnlyList<string> Services) : ControlMessage
{
    /// <summary>What the replica is called, across restarts; a <see cref="PlainName"/>. Null from a connector of a release that sends none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Name { get; init; }
}

/// <summary>Ingress to connector: the registration stands.</summary>
/// <param name="Session">Names this registration on the upgrade of each data channel.</param>
/// <param name="Tunnel">The tunnel that the token connects.</param>
public sealed record Registered(string Session, string Tunnel) : ControlMessage;

/// <summary>Ingress to connector: the registration does not stand; the channel is closed after it.</summary>
/// <param name="Code">A short stable name.</param>
/// <param name="Message">What is wrong and what to do.</param>
public sealed record RegistrationRefused(string Code, string Message) : ControlMessage;

/// <summary>Connector to ingress: its services changed (configuration reloaded).</summary>
/// <param name="Services">All names, not a difference.</param>
public sealed record Announce(IReadOnlyList<string> Services) : ControlMessage;

/// <summary>Ingress to connector: these announced services get no streams; sent whenever the list changes.</summary>
/// <param name="Rejected">Those that are rejected now, the first of them if they are many; empty when none is any more.</param>
public sealed record ServicesRejected(IReadOnlyList<RejectedService> Rejected) : ControlMessage;

/// <summary>An announced service that gets no streams.</summary>
/// <param name="Service">Its name.</param>
/// <param name="Reason">Why, and what to do.</param>
public sealed record RejectedService(string Service, string Reason);

/// <summary>Ingress to connector: streams are waiting; dial more data channels now.</summary>
/// <param name="Channels">How many are waited for.</param>
public sealed record Demand(int Channels) : ControlMessage;

/// <summary>Either way: I am shutting down. No new streams over this session; running ones finish.</summary>
public sealed record Drain : ControlMessage;
