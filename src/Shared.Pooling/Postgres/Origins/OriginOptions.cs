using System.Security.Cryptography.X509Certificates;
using Shared.Pooling.Postgres.Authentication;
using Shared.Streams.Dialing;

namespace Shared.Pooling.Postgres.Origins;

/// <summary>An origin and how to log in there. Immutable.</summary>
public sealed record OriginOptions
{
    /// <summary>Reaches it: by TCP, by a Unix socket or through a tunnel.</summary>
    public required IDialer Dialer { get; init; }

    /// <summary>The database.</summary>
    public required string Database { get; init; }

    /// <summary>The user.</summary>
    public required string User { get; init; }

    /// <summary>The password; null without.</summary>
    public string? Password { get; init; }

    /// <summary>What a client of the same name has shown of its password; used when there is no password.</summary>
    internal LoginProof Proof { get; init; } = LoginProof.None;

    /// <summary>TLS to the origin, inside whatever the dialer provides.</summary>
    public OriginTls Tls { get; init; } = OriginTls.Prefer;

    /// <summary>The name that its certificate carries.</summary>
    public string? ServerName { get; init; }

    /// <summary>Who signs its certificate; the system's roots when null.</summary>
    public X509Certificate2Collection? Roots { get; init; }

    /// <summary>Our certificate with its key, when the origin asks for one.</summary>
    public X509Certificate2? ClientCertificate { get; init; }

    /// <summary>True when the login must be bound to the TLS session.</summary>
    public bool RequireChannelBinding { get; init; }

    /// <summary>True when a server that nothing proves to be the origin gets the password's md5, and on TLS the password itself, when it asks.</summary>
    public bool AllowUnverifiedPassword { get; init; }

    /// <summary>
    /// True when TLS proves who answers. A certificate without the origin's name does only where the CA is not everybody's.
    /// </summary>
    public bool ProvesOrigin => Tls == OriginTls.VerifyFull || (Tls == OriginTls.VerifyCa && Roots is not null);

    /// <summary>True where nobody can listen on the way, so that a password in clear does no harm: a Unix socket.</summary>
    public bool IsLocal { get; init; }

    /// <summary>Dialling, TLS and login together may take so long.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Says nothing that is secret.</summary>
    public override string ToString() => $"{User} at {Database}, {Dialer}";
}
