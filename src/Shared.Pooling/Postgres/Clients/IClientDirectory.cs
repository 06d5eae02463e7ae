using System.Security.Cryptography.X509Certificates;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>Knows who may connect, and to which pool. Safe for concurrent use.</summary>
public interface IClientDirectory
{
    /// <summary>
    /// What a client has to prove, and what it gets then. Asked before anything is proven: nothing of the answer is shown to a client
    /// that fails.
    /// </summary>
    /// <exception cref="IOException">The directory cannot be read; the client is turned away.</exception>
    ValueTask<ClientAdmission> FindAsync(ClientRequest request, CancellationToken cancellationToken);
}

/// <summary>What a client asks for.</summary>
/// <param name="User">The user it says it is.</param>
/// <param name="Database">The database; the user's name when it named none.</param>
/// <param name="ServerName">The hostname it asked for in TLS; null without.</param>
/// <param name="Certificate">Its certificate, whose chain has been verified; null when it gave none.</param>
/// <param name="Remote">Where it connects from, for logs and limits.</param>
public sealed record ClientRequest(string User, string Database, string? ServerName, X509Certificate2? Certificate, string Remote);

/// <summary>What a client gets once it has proven who it is.</summary>
/// <param name="Pool">The pool's name; a name that no pool has is answered with 3D000.</param>
/// <param name="Database">The database that it asks the pool for.</param>
/// <param name="Credential">What it has to prove; null for an unknown user, who fails as one with a wrong password does.</param>
public sealed record ClientAdmission(string Pool, string Database, ClientCredential? Credential)
{
    /// <summary>Why it is turned away although it is who it says; null when it is not.</summary>
    public string? Refusal { get; init; }

    /// <summary>
    /// Called when it has proven who it is with a password, before it is let in; must not throw. Is told which of the credential's verifiers it was.
    /// </summary>
    public Action<int>? OnProven { get; init; }
}
