using System.Text.Json.Serialization;

namespace Shared.Streams.Protocol;

/// <summary>A message of the handshake of a carrier that is no WebSocket. docs/protocol.md section 5.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Join), "join")]
[JsonDerivedType(typeof(AccessHostname), "access")]
[JsonDerivedType(typeof(Joined), "joined")]
[JsonDerivedType(typeof(JoinRefused), "refused")]
public abstract record CarrierMessage;

/// <summary>A connector's first message to the ingress: who I am, and the session that this carrier belongs to.</summary>
/// <param name="ClientId">The service token's client id.</param>
/// <param name="ClientSecret">Its secret.</param>
/// <param name="Session">The session that the control channel was registered under.</param>
public sealed record Join(string ClientId, string ClientSecret, string Session) : CarrierMessage
{
    /// <inheritdoc/>
    public override string ToString() => $"join of {ClientId}";
}

/// <summary>An application's first message to the ingress: who I am, and the tunnel hostname that this carrier's streams go to.</summary>
/// <param name="ClientId">The service token's client id.</param>
/// <param name="ClientSecret">Its secret.</param>
/// <param name="Hostname">The tunnel hostname.</param>
/// <param name="Features">What I understand beyond what version 1 began with, as <see cref="TunnelProtocol.Features"/>; null for nothing.</param>
public sealed record AccessHostname(
    string ClientId, string ClientSecret, string Hostname,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<string>? Features = null) : CarrierMessage
{
    /// <summary>Whether the sender understands a feature.</summary>
    public bool Knows(string feature) => Features?.Contains(feature, StringComparer.Ordinal) == true;

    /// <inheritdoc/>
    public override string ToString() => $"access of {ClientId} to {Hostname}";
}

/// <summary>The ingress's answer: streams may follow.</summary>
public sealed record Joined : CarrierMessage;

/// <summary>The ingress's answer: no. The carrier is closed after it.</summary>
/// <param name="Code">A short stable name.</param>
/// <param name="Message">One line for people.</param>
public sealed record JoinRefused(string Code, string Message) : CarrierMessage;
