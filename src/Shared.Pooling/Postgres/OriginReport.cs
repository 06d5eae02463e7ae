namespace Shared.Pooling.Postgres;

/// <summary>What came of trying an origin.</summary>
/// <param name="Pool">The pool's name.</param>
/// <param name="Failure">What failed; null when all is well.</param>
/// <param name="Hop">Where it failed: resolve, connect, proxy, tls, ingress, connector, target, credentials, database, origin, protocol.</param>
/// <param name="Hint">What to do about it.</param>
/// <param name="ServerVersion">What answered.</param>
/// <param name="IsEncrypted">True when TLS protects the way from here to the database.</param>
/// <param name="Login">How long it took to be logged in.</param>
/// <param name="Query">How long a query takes.</param>
public sealed record OriginReport(
    string Pool, string? Failure, string? Hop, string? Hint, string? ServerVersion, bool IsEncrypted, TimeSpan Login, TimeSpan Query)
{
    /// <summary>True when the origin can be used.</summary>
    public bool IsReachable => Failure is null;
}
