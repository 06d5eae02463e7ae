namespace Shared.Pooling.Pools;

/// <summary>Nobody gave a connection back in time, or too many wait already.</summary>
internal sealed class PoolTimeoutException(string message) : IOException(message);

/// <summary>The pool is closing.</summary>
internal sealed class PoolClosedException(string message) : IOException(message);
