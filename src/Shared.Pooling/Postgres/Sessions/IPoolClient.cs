using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// A client of a pool, whatever it came for: what limits, timeouts, the console and whoever ends clients have to know of it. Welcomed and
/// run once, by one caller; the rest is safe for concurrent use.
/// </summary>
internal interface IPoolClient : IDisposable
{
    /// <summary>Where it belongs.</summary>
    PostgresPool Pool { get; }

    /// <summary>Who it is.</summary>
    ClientIdentity Identity { get; }

    /// <summary>What it is doing, since when.</summary>
    ClientActivity Activity { get; }

    /// <summary>The process id of the server connection that it has now; null when it has none.</summary>
    int? ServerProcessId { get; }

    /// <summary>Why it ended, for the log.</summary>
    string EndReason { get; }

    /// <summary>Tells the client that it is in: what the server reports, and how to cancel.</summary>
    /// <exception cref="ServerUnavailableException">The origin cannot be reached, or there is no connection left for it.</exception>
    /// <exception cref="HandshakeRefusedException">It may not have what it asks for.</exception>
    Task WelcomeAsync(ClientAcceptance acceptance, byte[] cancelKey, CancellationToken cancellationToken);

    /// <summary>Serves the client until it leaves, or has to.</summary>
    /// <param name="cancellationToken">Cuts it: the pooler's grace time is over.</param>
    Task RunAsync(CancellationToken cancellationToken);

    /// <summary>Asks the server to cancel what runs for this client.</summary>
    Task CancelAsync(CancellationToken cancellationToken);

    /// <summary>Ends what takes too long. Called every now and then.</summary>
    void EnforceTimeouts();

    /// <summary>Ends it from outside; it is told why where that can be understood. May be called by anyone at any time.</summary>
    void End(PostgresError? farewell);
}
