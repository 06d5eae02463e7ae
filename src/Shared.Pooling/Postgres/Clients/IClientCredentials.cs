using Shared.Pooling.Postgres.Authentication;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>How a user proves who he is.</summary>
/// <param name="Verifier">Checks his password by SCRAM; null when he has none.</param>
/// <param name="Md5">What md5 needs, as pg_authid keeps it; null when md5 is not offered to him.</param>
public sealed record ClientCredential(ScramVerifier? Verifier, string? Md5 = null);

/// <summary>Knows the users. Safe for concurrent use.</summary>
public interface IClientCredentials
{
    /// <summary>The credential of a user for a database; null when there is none, which the user is not told.</summary>
    ValueTask<ClientCredential?> FindAsync(string user, string database, CancellationToken cancellationToken);
}
