namespace Shared.Pooling.Postgres.Protocol;

/// <summary>A peer sent bytes that are no PostgreSQL protocol, or not where they stand.</summary>
/// <param name="message">What was wrong, without the bytes themselves.</param>
internal sealed class ProtocolViolationException(string message) : IOException(message);
