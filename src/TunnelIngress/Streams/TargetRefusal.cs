using System.Collections.Frozen;
using Shared.Streams.Dialing;
using Shared.Streams.Protocol;

namespace TunnelIngress.Streams;

/// <summary>
/// What a connector says of a target that it could not reach. Its code becomes a label of metrics and part of a header, so it is one that the protocol
/// knows, whatever the connector writes.
/// </summary>
internal static class TargetRefusal
{
    /// <summary>Stands for every code that is not known here.</summary>
    public const string Other = "other";

    private static readonly FrozenSet<string> Known = new[]
    {
        "certificate-not-trusted", "connection-refused", "handshake-failed", "limited", "no-such-socket", "not-configured", "not-resolved", "permission-denied", "timeout", "unreachable",
    }.ToFrozenSet(StringComparer.Ordinal);

    /// <summary>The refusal as a failure at the hop of the target; a code that is not known is told in the message.</summary>
    public static DialException ToFailure(Refused refused) => Known.Contains(refused.Code)
        ? new DialException(Hop.Target, refused.Code, ProtocolCodec.OneLine(refused.Message))
        : new DialException(Hop.Target, Other, ProtocolCodec.OneLine($"{refused.Code}: {refused.Message}"));
}
