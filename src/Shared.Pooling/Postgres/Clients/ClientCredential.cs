using System.Collections.Immutable;
using Shared.Pooling.Postgres.Authentication;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>How a user proves who he is: by a certificate, by one of several passwords with SCRAM, or by md5. Immutable.</summary>
public sealed record ClientCredential
{
    /// <summary>Check his password by SCRAM; several while an old password is still good. They must have one salt.</summary>
    public ImmutableArray<ScramVerifier> Verifiers { get; init; } = [];

    /// <summary>What md5 needs, as pg_authid keeps it; used when there is no verifier.</summary>
    public string? Md5 { get; init; }

    /// <summary>True when a certificate with his name is needed, and enough.</summary>
    public bool ByCertificate { get; init; }

    /// <summary>The password itself where it is known: pools that log in as their clients can use it.</summary>
    internal string? Password { get; init; }

    /// <summary>The credential that an entry of pg_authid means, or null when it means none.</summary>
    /// <param name="stored">SCRAM-SHA-256$… or md5….</param>
    public static ClientCredential? FromStored(string stored)
    {
        if (ScramVerifier.TryParse(stored, out var verifier))
        {
            return new ClientCredential { Verifiers = [verifier] };
        }

        return Md5Password.IsStored(stored) ? new ClientCredential { Md5 = stored } : null;
    }

    /// <summary>The credential of a password.</summary>
    public static ClientCredential FromPassword(string password) => new() { Verifiers = [ScramVerifier.Create(password)], Password = password };

    /// <summary>Says nothing that is secret.</summary>
    public override string ToString() => ByCertificate ? "certificate" : Verifiers.IsEmpty ? "md5" : "scram-sha-256";
}
