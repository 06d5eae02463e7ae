namespace Shared.Streams.Access;

/// <summary>Where a program's service token comes from. Asked at each connection; safe for concurrent use.</summary>
public interface IServiceTokenSource
{
    /// <summary>The token as it is now.</summary>
    ValueTask<ServiceToken> GetAsync(CancellationToken cancellationToken);
}

/// <summary>A token that never changes, for example from the environment.</summary>
/// <param name="token">The token.</param>
public sealed class FixedServiceToken(ServiceToken token) : IServiceTokenSource
{
    /// <inheritdoc/>
    public ValueTask<ServiceToken> GetAsync(CancellationToken cancellationToken) => ValueTask.FromResult(token);
}
