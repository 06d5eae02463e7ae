namespace Shared.Pooling.Hosting;

/// <summary>How a pool is, wherever its database is: keys, defaults, units. docs/configuration.md lists them.</summary>
public class PooledDatabaseOptions
{
    /// <summary>The database there.</summary>
    public string? Database { get; set; }

    /// <summary>The user there; without it clients log in there as themselves.</summary>
    public string? User { get; set; }

    /// <summary>TLS to the database: disable, prefer, require, verify-ca, verify-full.</summary>
    public string Tls { get; set; } = "prefer";

    /// <summary>The name that the database's certificate carries; the origin's host without it.</summary>
    public string? ServerName { get; set; }

    /// <summary>True when the login must be bound to the TLS session.</summary>
    public bool RequireChannelBinding { get; set; }

    /// <summary>True when a database whose certificate is not verified gets the password's md5, and on TLS the password itself.</summary>
    public bool AllowUnverifiedPassword { get; set; }

    /// <summary>transaction, session or statement.</summary>
    public string Mode { get; set; } = "transaction";

    /// <summary>Connections kept open.</summary>
    public int Min { get; set; }

    /// <summary>Connections at most.</summary>
    public int Max { get; set; } = 20;

    /// <summary>Further ones once somebody has waited for 3 s.</summary>
    public int Reserve { get; set; }

    /// <summary>Statements a connection keeps prepared.</summary>
    public int PreparedStatements { get; set; } = 256;

    /// <summary>What clients may not leave in a session: Listen, Temporary, AdvisoryLock, HoldCursor, SqlPrepare, Load.</summary>
    public List<string> Refuse { get; set; } = [];

    /// <summary>How long a login at the database may take, in seconds.</summary>
    public int ConnectTimeoutSeconds { get; set; } = 15;

    /// <summary>How long a client waits for a connection, in seconds.</summary>
    public int QueryWaitTimeoutSeconds { get; set; } = 30;

    /// <summary>How long a query may run, in seconds; 0 for ever.</summary>
    public int QueryTimeoutSeconds { get; set; }

    /// <summary>How long a client may do nothing, in seconds; 0 for ever.</summary>
    public int ClientIdleTimeoutSeconds { get; set; }

    /// <summary>How long a client may do nothing in a transaction, in seconds; 0 for ever.</summary>
    public int IdleInTransactionTimeoutSeconds { get; set; }

    /// <summary>How long a client may take nothing of its answers, in seconds; 0 for ever.</summary>
    public int ClientStallTimeoutSeconds { get; set; } = 300;

    /// <summary>How long a connection may be unused, in seconds.</summary>
    public int ServerIdleTimeoutSeconds { get; set; } = 600;

    /// <summary>How old a connection may become, in seconds.</summary>
    public int ServerLifetimeSeconds { get; set; } = 3600;
}
