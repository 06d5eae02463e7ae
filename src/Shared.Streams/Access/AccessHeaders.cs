namespace Shared.Streams.Access;

/// <summary>The headers that carry a service token on a WebSocket upgrade, for connectors and applications alike.</summary>
public static class AccessHeaders
{
    /// <summary>The public half of the token.</summary>
    public const string ClientId = "CF-Access-Client-Id";

    /// <summary>The secret half of the token. Never logged.</summary>
    public const string ClientSecret = "CF-Access-Client-Secret";
}
