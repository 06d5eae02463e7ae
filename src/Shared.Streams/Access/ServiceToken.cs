namespace Shared.Streams.Access;

/// <summary>A service token as its holder has it. Its text form hides the secret, so that logging one by mistake leaks nothing.</summary>
/// <param name="ClientId">The public half.</param>
/// <param name="ClientSecret">The secret half: 256 bits in text form.</param>
public sealed record ServiceToken(string ClientId, string ClientSecret)
{
    /// <inheritdoc/>
    public override string ToString() => $"{ClientId}:***";
}
