using System.Collections.Immutable;

namespace TunnelIngress.State;

/// <summary>What a service token is good for: exactly one of the two nested kinds.</summary>
internal abstract record TokenScope
{
    private TokenScope()
    {
    }

    /// <summary>A connector's token: serve the streams of one tunnel.</summary>
    internal sealed record Connect(string Tunnel) : TokenScope;

    /// <summary>An application's token: open streams to these services. Empty once all of them were removed.</summary>
    internal sealed record Access(ImmutableArray<string> Services) : TokenScope;
}
