using System.Security.Cryptography.X509Certificates;
using Shared.Streams.Dialing;

namespace Shared.Pooling.Hosting;

/// <summary>How a pool reaches its database, and what it proves there. Immutable.</summary>
/// <param name="Dialer">Reaches it.</param>
/// <param name="Version">Another text when the dialer's configuration has changed.</param>
public sealed record OriginAccess(IDialer Dialer, string Version)
{
    /// <summary>The name that the database's certificate is expected to carry; null where there is none.</summary>
    public string? Host { get; init; }

    /// <summary>True where nobody can listen on the way.</summary>
    public bool IsLocal { get; init; }

    /// <summary>The pool's password; null without.</summary>
    public string? Password { get; init; }

    /// <summary>Who signs the database's certificate; the system's roots when null.</summary>
    public X509Certificate2Collection? Roots { get; init; }

    /// <summary>Our certificate with its key; null without.</summary>
    public X509Certificate2? ClientCertificate { get; init; }

    /// <inheritdoc/>
    public override string ToString() => $"{Dialer}";
}
