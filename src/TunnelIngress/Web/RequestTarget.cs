namespace TunnelIngress.Web;

/// <summary>The target of a request as it was sent (RFC 9112 section 3.2), so that the origin reads the very bytes that the client wrote.</summary>
internal static class RequestTarget
{
    private static readonly UriCreationOptions AsItIs = new() { DangerousDisablePathAndQueryCanonicalization = true };

    /// <summary>True for a path and query of visible characters only: nothing that an origin could take for the end of the line.</summary>
    public static bool IsSound(string target) => target is ['/', ..] && !target.AsSpan().ContainsAnyExceptInRange('!', '~') && !target.Contains('#', StringComparison.Ordinal);

    /// <summary>Where to send it; null when the target is in absolute form and its path is the server's to read.</summary>
    /// <param name="prefix">Scheme and host.</param>
    /// <param name="target">The target.</param>
    public static Uri? ToUri(string prefix, string target) => IsSound(target) ? new Uri(prefix + target, AsItIs) : null;
}
