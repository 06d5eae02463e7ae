namespace Shared.Pooling.Postgres.Clients;

/// <summary>How a client came to us.</summary>
/// <param name="Remote">Where it connects from, for the log.</param>
/// <param name="IsLocal">True for a Unix socket: nobody can listen on the way, so TLS is not required.</param>
/// <param name="IsTrusted">True to ask for no password: the socket's owner says so.</param>
/// <param name="OnRecognized">Called with the user when it has shown who it is. Returns null, or why there is no place for its connection; must not throw.</param>
public readonly record struct ClientSource(string Remote, bool IsLocal = false, bool IsTrusted = false, Func<string, string?>? OnRecognized = null);
