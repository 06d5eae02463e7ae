using System.Collections.Immutable;
using Shared.Pooling.Postgres.Authentication;

namespace TunnelIngress.State;

/// <summary>
/// Where tunnels, services and tokens are kept. Each change is one transaction, is durable before it returns, and makes the revision
/// grow, but for the uses of tokens. Several processes may use one store at once. Safe for concurrent use. Any member throws <see cref="IOException"/> when the
/// store cannot be read or written.
/// </summary>
internal interface IStateStore
{
    /// <summary>Creates or upgrades the store.</summary>
    /// <exception cref="IOException">It cannot be opened, or a newer program has upgraded it.</exception>
    Task InitializeAsync(CancellationToken cancellationToken);

    /// <summary>Upgrades the store, but makes none: somebody who mistypes its place must not be shown an empty one.</summary>
    /// <exception cref="StateException">There is none.</exception>
    /// <exception cref="IOException">It cannot be opened, or a newer program has upgraded it.</exception>
    Task OpenAsync(CancellationToken cancellationToken);

    /// <summary>The revision now; cheap, for polling.</summary>
    Task<long> GetRevisionAsync(CancellationToken cancellationToken);

    /// <summary>Everything, at one revision.</summary>
    Task<StateSnapshot> LoadAsync(CancellationToken cancellationToken);

    /// <exception cref="StateException">The name is taken.</exception>
    Task AddTunnelAsync(Tunnel tunnel, CancellationToken cancellationToken);

    /// <exception cref="StateException">It does not exist, or services or tokens usable at <paramref name="now"/> still name it.</exception>
    Task RemoveTunnelAsync(string name, DateTimeOffset now, CancellationToken cancellationToken);

    /// <exception cref="StateException">Name or hostname is taken, or the tunnel does not exist.</exception>
    Task AddServiceAsync(Service service, CancellationToken cancellationToken);

    /// <summary>Changes a service's hostname and how the ingress speaks HTTP with its target.</summary>
    /// <param name="name">The service.</param>
    /// <param name="change">Makes the service that is to be of the one that is; its name and tunnel stay. Nobody else can change the state meanwhile, so it must wait for nothing.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>The service that is.</returns>
    /// <exception cref="StateException">It does not exist, the hostname is taken, or it has a pool and is to speak HTTP.</exception>
    Task<Service> SetServiceAsync(string name, Func<Service, Service> change, CancellationToken cancellationToken);

    /// <summary>Removes a service and takes it out of the scope of every token.</summary>
    /// <returns>The tokens that had it in their scope, as they were.</returns>
    /// <exception cref="StateException">It does not exist.</exception>
    Task<IReadOnlyList<Token>> RemoveServiceAsync(string name, CancellationToken cancellationToken);

    /// <exception cref="StateException">A tunnel or service of the scope does not exist.</exception>
    Task AddTokenAsync(Token token, CancellationToken cancellationToken);

    /// <summary>Makes a service's pool, or puts it in the place of the one it has.</summary>
    /// <param name="service">The service.</param>
    /// <param name="change">Makes the pool of the one there is, or of none. Nobody else can change the state meanwhile, so it must wait for nothing.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>The service whose pool it is.</returns>
    /// <exception cref="StateException">The service does not exist, or speaks HTTP.</exception>
    Task<Service> SetPoolAsync(string service, Func<ServicePool?, ServicePool> change, CancellationToken cancellationToken);

    /// <exception cref="StateException">The service has none.</exception>
    Task RemovePoolAsync(string service, CancellationToken cancellationToken);

    /// <summary>
    /// Adds a newer secret; the ones before stay valid for <paramref name="overlap"/> from <paramref name="now"/> at the longest, and
    /// those that are valid no more are forgotten.
    /// </summary>
    /// <param name="clientId">The token.</param>
    /// <param name="hash">Of the newer secret.</param>
    /// <param name="scram">Makes its verifier for the token as it is; null for a secret that is no password.</param>
    /// <param name="now">When.</param>
    /// <param name="overlap">From then on.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="StateException">
    /// The token does not exist, is revoked or expired, or would have more than <see cref="TokenSecret.MaxValid"/> valid secrets.
    /// </exception>
    Task RotateTokenAsync(
        string clientId, ImmutableArray<byte> hash, Func<Token, ScramVerifier?> scram, DateTimeOffset now, TimeSpan overlap, CancellationToken cancellationToken);

    /// <summary>Revokes a token for good; revoking it again changes nothing.</summary>
    /// <exception cref="StateException">It does not exist.</exception>
    Task RevokeTokenAsync(string clientId, DateTimeOffset at, CancellationToken cancellationToken);

    /// <summary>Forgets a token that is revoked or expired.</summary>
    /// <exception cref="StateException">It does not exist, or is usable at <paramref name="now"/>.</exception>
    Task RemoveTokenAsync(string clientId, DateTimeOffset now, CancellationToken cancellationToken);

    /// <summary>
    /// Keeps the last uses of tokens; those of tokens that do not exist are left out. No change of the state: the revision stays. Waits for
    /// other processes for two seconds at most.
    /// </summary>
    Task RecordUsesAsync(IReadOnlyCollection<TokenUse> uses, DateTimeOffset now, CancellationToken cancellationToken);

    /// <summary>The last uses of tokens, of each secret.</summary>
    Task<IReadOnlyList<TokenUse>> LoadUsesAsync(CancellationToken cancellationToken);

    /// <summary>Adds services to the scope of an application's token; what it has already stays.</summary>
    /// <exception cref="StateException">The token or a service does not exist, or the token connects a tunnel, is revoked or expired.</exception>
    Task GrantAccessAsync(string clientId, IReadOnlyCollection<string> services, DateTimeOffset now, CancellationToken cancellationToken);

    /// <summary>Takes services out of a token's scope: all of them or, when one is not in it, none.</summary>
    /// <exception cref="StateException">The token does not exist, or a service is not in its scope.</exception>
    Task WithdrawAccessAsync(string clientId, IReadOnlyCollection<string> services, CancellationToken cancellationToken);
}

/// <summary>A change that the state does not allow. The message says why and what to do.</summary>
internal sealed class StateException(string message) : Exception(message);
