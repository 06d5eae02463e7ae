using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>A client is told why it is not let in, and disconnected.</summary>
/// <param name="error">What it is told.</param>
internal sealed class HandshakeRefusedException(PostgresError error) : IOException(error.Message)
{
    /// <summary>What it is told.</summary>
    public PostgresError Error { get; } = error;
}
