namespace TunnelIngress.Web;

/// <summary>The target of a request as it was sent (RFC 9112 section 3.2), so that the origin reads the very bytes that the client wrote.</summary>
internal static class RequestTarget
{
    private static readonly UriCreationOptions AsItIs = new() { DangerousDisablePathAndQueryCanonicalization = true };

    /// <summary>True for a path and query of visible characters only: nothing that an origin could take for the end of the line.</summary>
    public static bool IsSound(string target) => target is ['/', ..] && !target.AsSpan().ContainsAnyExceptInRange('!', '~') && !target.Contains('#', StringComparison.Ordinal);

    /// <summary>The path and query of a target in absolute form (RFC 9112 section 3.2.2), any other as it is.</summary>
    public static string WithoutAuthority(string target)
    {
        if (!target.StartsWith("http://", StringComparison.OrdinalIgnoreCase) && !target.StartsWith("https://", StringComparison.OrdinalIgnoreCase))
        {
            return target;
        }

        var authority = target.IndexOf("://", StringComparison.Ordinal) + 3;
        var path = target.AsSpan(authority).IndexOfAny('/', '?', '#');
        return path < 0 ? "/" : target[authority + path] == '/' ? target[(authority + path)..] : $"/{target[(authority + path)..]}";
    }

    /// <summary>Where to send it; null when it is no path.</summary>
    /// <param name="prefix">Scheme and host.</param>
    /// <param name="target">The target.</param>
    public static Uri? ToUri(string prefix, string target) =>
        WithoutAuthority(target) is var path && IsSound(path) ? new Uri(prefix + path, AsItIs) : null;
}
