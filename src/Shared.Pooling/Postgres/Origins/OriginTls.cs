namespace Shared.Pooling.Postgres.Origins;

/// <summary>TLS to an origin, as libpq's sslmode names it.</summary>
public enum OriginTls
{
    /// <summary>None.</summary>
    Disable,

    /// <summary>When the origin offers it; not verified.</summary>
    Prefer,

    /// <summary>Always; not verified, so a man in the middle is not noticed.</summary>
    Require,

    /// <summary>Always, with a certificate of a trusted CA.</summary>
    VerifyCa,

    /// <summary>Always, with a certificate of a trusted CA for the origin's name.</summary>
    VerifyFull,
}
