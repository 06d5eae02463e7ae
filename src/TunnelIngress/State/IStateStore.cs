using System.Collections.Immutable;

namespace TunnelIngress.State;

/// <summary>
/// Where tunnels, services and tokens are kept. Each change is one transaction, is durable before it returns, and makes the revision
/// grow. Several processes may use one store at once. Safe for concurrent use.
/// </summary>
internal interface IStateStore
{
    /// <summary>Creates or upgrades the store.</summary>
    /// <exception cref="IOException">It cannot be opened, or a newer program has upgraded it.</exception>
    Task InitializeAsync(CancellationToken cancellationToken);

    /// <summary>The revision now; cheap, for polling.</summary>
    Task<long> GetRevisionAsync(CancellationToken cancellationToken);

    /// <summary>Everything, at one revision.</summary>
    Task<StateSnapshot> LoadAsync(CancellationToken cancellationToken);

    /// <exception cref="StateException">The name is taken.</exception>
    Task AddTunnelAsync(Tunnel tunnel, CancellationToken cancellationToken);

    /// <exception cref="StateException">It does not exist, or services or usable tokens still name it.</exception>
    Task RemoveTunnelAsync(string name, CancellationToken cancellationToken);

    /// <exception cref="StateException">Name or hostname is taken, or the tunnel does not exist.</exception>
    Task AddServiceAsync(Service service, CancellationToken cancellationToken);

    /// <summary>Removes a service and takes it out of the scope of every token.</summary>
    /// <exception cref="StateException">It does not exist.</exception>
    Task RemoveServiceAsync(string name, CancellationToken cancellationToken);

    /// <exception cref="StateException">A tunnel or service of the scope does not exist.</exception>
    Task AddTokenAsync(Token token, CancellationToken cancellationToken);

    /// <summary>Adds a newer secret; the ones before stay valid until <paramref name="oldValidUntil"/> at the latest.</summary>
    /// <exception cref="StateException">The token does not exist or is revoked.</exception>
    Task RotateTokenAsync(string clientId, ImmutableArray<byte> hash, DateTimeOffset oldValidUntil, CancellationToken cancellationToken);

    /// <summary>Revokes a token for good; revoking it again changes nothing.</summary>
    /// <exception cref="StateException">It does not exist.</exception>
    Task RevokeTokenAsync(string clientId, DateTimeOffset at, CancellationToken cancellationToken);
}

/// <summary>A change that the state does not allow. The message says why and what to do.</summary>
internal sealed class StateException(string message) : Exception(message);
