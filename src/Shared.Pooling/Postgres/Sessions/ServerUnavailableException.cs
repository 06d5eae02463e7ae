using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>No server connection can be had now; the client is told and stays.</summary>
/// <param name="error">What it is told.</param>
internal sealed class ServerUnavailableException(PostgresError error) : IOException(error.Message)
{
    /// <summary>What the client is told.</summary>
    public PostgresError Error { get; } = error;
}
