namespace TunnelIngress.Web;

/// <summary>How far a request has come. One per request.</summary>
internal sealed class RequestProgress(TimeProvider time)
{
    private readonly long _start = time.GetTimestamp();

    /// <summary>From the request's headers to its origin's answer; null before.</summary>
    public TimeSpan? AnsweredAfter { get; private set; }

    /// <summary>From the request's headers until now.</summary>
    public TimeSpan Elapsed => time.GetElapsedTime(_start);

    /// <summary>The origin has answered.</summary>
    public void Answered() => AnsweredAfter ??= Elapsed;
}
