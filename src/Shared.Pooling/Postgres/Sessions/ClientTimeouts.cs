using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>Ends what takes too long, with the codes that PostgreSQL's own timeouts use.</summary>
internal static class ClientTimeouts
{
    /// <summary>Looks at one client. Called every now and then.</summary>
    public static void Enforce(ClientSession client, PostgresPoolOptions options)
    {
        if (options.StallTimeout > TimeSpan.Zero && client.Output.Stalled(client.Pool.Time) > options.StallTimeout)
        {
            // Whatever it does: what it does not read keeps a server connection from everybody else.
            client.End(PostgresError.Fatal(SqlState.QueryCanceled, "terminating connection because the client does not read its answers"));
            return;
        }

        var elapsed = client.Activity.Elapsed;
        switch (client.Activity.State)
        {
            case ClientState.Idle when Over(elapsed, options.IdleTimeout):
                client.End(PostgresError.Fatal(SqlState.IdleSessionTimeout, "terminating connection due to idle-session timeout"));
                break;
            case ClientState.IdleInTransaction when Over(elapsed, options.IdleInTransactionTimeout):
                client.End(PostgresError.Fatal(SqlState.IdleInTransactionTimeout, "terminating connection due to idle-in-transaction timeout"));
                break;
            case ClientState.Active when Over(elapsed, options.QueryTimeout + options.CancelTimeout) && options.QueryTimeout > TimeSpan.Zero:
                client.End(PostgresError.Fatal(SqlState.QueryCanceled, "terminating connection because the query could not be canceled in time"));
                break;
            case ClientState.Active when Over(elapsed, options.QueryTimeout):
                client.CancelOverdue();
                break;
            default:
                break;
        }
    }

    private static bool Over(TimeSpan elapsed, TimeSpan limit) => limit > TimeSpan.Zero && elapsed > limit;
}
