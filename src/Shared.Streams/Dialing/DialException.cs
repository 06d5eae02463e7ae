namespace Shared.Streams.Dialing;

/// <summary>A stream could not be opened. The message says what happened and what to do, and never holds a secret.</summary>
public sealed class DialException : IOException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="hop">Where it failed.</param>
    /// <param name="code">A short stable name for logs and metrics, e.g. <c>connection-refused</c>.</param>
    /// <param name="message">What happened, and what to do.</param>
    /// <param name="innerException">The cause, if any.</param>
    public DialException(Hop hop, string code, string message, Exception? innerException = null)
        : base(message, innerException)
    {
        Hop = hop;
        Code = code;
    }

    /// <summary>Where it failed.</summary>
    public Hop Hop { get; }

    /// <summary>A short stable name, e.g. <c>connection-refused</c>.</summary>
    public string Code { get; }

    /// <summary>The HTTP status the ingress answered, when it answered.</summary>
    public int? Status { get; init; }
}
