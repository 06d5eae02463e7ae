using System.Collections.Immutable;

namespace TunnelIngress.State;

/// <summary>
/// Tunnels, services and service tokens, kept durably and shared by every process that opened the same store.
/// </summary>
/// <remarks>
/// Every mutation is one transaction, is durable before its task completes, and changes the revision. All members may be called
/// concurrently, from several processes too, and throw <see cref="StateException"/>, or <see cref="OperationCanceledException"/>.
/// Rules about what may be removed are the store's, because only its transaction can keep them.
/// </remarks>
internal interface IStateStore : IAsyncDisposable
{
    /// <summary>The current revision; cheap enough to poll.</summary>
    Task<long> GetRevisionAsync(CancellationToken cancellationToken);

    /// <summary>Everything, as of one revision.</summary>
    Task<StateSnapshot> LoadAsync(CancellationToken cancellationToken);

    Task AddTunnelAsync(Tunnel tunnel, CancellationToken cancellationToken);

    /// <summary>
    /// Removes a tunnel. Refused while it has services, or tokens usable at <paramref name="now"/>; revoked and expired ones go with it.
    /// </summary>
    Task RemoveTunnelAsync(string name, DateTimeOffset now, CancellationToken cancellationToken);

    /// <summary>Adds a service; its hostname is normalised.</summary>
    Task AddServiceAsync(Service service, CancellationToken cancellationToken);

    /// <summary>
    /// Removes a service and takes it out of the scope of every token, so that a later service of the same name is not open to them.
    /// Refusing instead would force an operator to revoke tokens that are needed for other services.
    /// </summary>
    /// <returns>The tokens whose scope lost it, as they were before.</returns>
    Task<ImmutableArray<Token>> RemoveServiceAsync(string name, CancellationToken cancellationToken);

    Task AddTokenAsync(Token token, CancellationToken cancellationToken);

    /// <summary>
    /// Adds a new current secret. Older ones stay valid until <paramref name="now"/> + <paramref name="overlap"/> at the latest; an overlap
    /// of zero ends them at once. Refused for a token that is not usable, or that would have more than
    /// <see cref="TokenSecret.MaxValidVersions"/> valid secrets.
    /// </summary>
    /// <returns>The token as it is now.</returns>
    Task<Token> RotateTokenAsync(
        string clientId, ImmutableArray<byte> newSecretHash, DateTimeOffset now, TimeSpan overlap, CancellationToken cancellationToken);

    /// <summary>Revokes a token for good. Revoking it again changes nothing and is not an error.</summary>
    /// <returns>The token as it is now.</returns>
    Task<Token> RevokeTokenAsync(string clientId, DateTimeOffset now, CancellationToken cancellationToken);
}
