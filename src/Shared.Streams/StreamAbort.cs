namespace Shared.Streams;

/// <summary>Why a stream was aborted, in a form that travels: a code for programs and metrics, a detail for people.</summary>
/// <param name="Code">The cause.</param>
/// <param name="Detail">One line without secrets; may be empty.</param>
public readonly record struct StreamAbort(AbortCode Code, string Detail = "")
{
    /// <summary>The peer reset the stream, as TCP's RST does (RFC 9293 section 3.5.2).</summary>
    public static readonly StreamAbort Reset = new(AbortCode.Reset, "reset by peer");

    /// <summary>Our own side let go of the stream before both directions had ended.</summary>
    public static readonly StreamAbort Dropped = new(AbortCode.Dropped, "dropped before its end");

    /// <inheritdoc/>
    public override string ToString() => string.IsNullOrEmpty(Detail) ? Code.ToWire() : $"{Code.ToWire()}: {Detail}";
}

/// <summary>The cause of an abort. The wire names are in <see cref="AbortCodes"/>.</summary>
public enum AbortCode
{
    /// <summary>An application or target reset its connection, or was closed while data was still coming.</summary>
    Reset,

    /// <summary>The transport vanished without an ending: process killed, network gone, no answer to a ping.</summary>
    ConnectionLost,

    /// <summary>A program on the way is shutting down and its grace time is over.</summary>
    Shutdown,

    /// <summary>The service token was revoked or expired, or its service or tunnel was removed.</summary>
    Revoked,

    /// <summary>A bounded wait ran out.</summary>
    Timeout,

    /// <summary>A peer broke the protocol.</summary>
    ProtocolError,

    /// <summary>A TLS session ended without close_notify, so its end cannot be trusted (RFC 8446 section 6.1).</summary>
    Truncated,

    /// <summary>The owner dropped the stream before it ended.</summary>
    Dropped,
}

/// <summary>The names of <see cref="AbortCode"/> on the wire, in logs and in metrics.</summary>
public static class AbortCodes
{
    /// <summary>The name of a code.</summary>
    public static string ToWire(this AbortCode code) => code switch
    {
        AbortCode.Reset => "reset",
        AbortCode.ConnectionLost => "connection-lost",
        AbortCode.Shutdown => "shutdown",
        AbortCode.Revoked => "revoked",
        AbortCode.Timeout => "timeout",
        AbortCode.ProtocolError => "protocol-error",
        AbortCode.Truncated => "truncated",
        AbortCode.Dropped => "dropped",
        _ => throw new ArgumentOutOfRangeException(nameof(code), code, null),
    };

    /// <summary>The code of a name; a name this version does not know is a plain reset, so that newer peers are understood.</summary>
    public static AbortCode FromWire(string? name) => name switch
    {
        "connection-lost" => AbortCode.ConnectionLost,
        "shutdown" => AbortCode.Shutdown,
        "revoked" => AbortCode.Revoked,
        "timeout" => AbortCode.Timeout,
        "protocol-error" => AbortCode.ProtocolError,
        "truncated" => AbortCode.Truncated,
        "dropped" => AbortCode.Dropped,
        _ => AbortCode.Reset,
    };
}
