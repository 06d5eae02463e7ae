using Shared.Hosting.Configuration;
using Shared.Hosting.Logging;

namespace TunnelPooler.Pooling;

/// <summary>The pooler's configuration as it is written: keys, defaults, units. docs/configuration.md lists them.</summary>
internal sealed class PoolerOptions
{
    /// <summary>The addresses that applications connect to, e.g. <c>127.0.0.1:6432</c> or <c>unix:/path</c>.</summary>
    public List<string> Listen { get; set; } = [];

    /// <summary>True when addresses that others can reach may be listened on without TLS.</summary>
    public bool AllowPlaintext { get; set; }

    /// <summary>TLS for applications.</summary>
    public PoolerTlsOptions Tls { get; set; } = new();

    /// <summary>Who may connect, by name.</summary>
    public Dictionary<string, PoolerUserOptions> Users { get; set; } = [];

    /// <summary>Which users may use the console: the database "pooler".</summary>
    public List<string> Admins { get; set; } = [];

    /// <summary>True when the pooler does not start while one of its databases cannot be reached.</summary>
    public bool RequireReachable { get; set; }

    /// <summary>True when whoever can open the Unix socket needs no password.</summary>
    public bool TrustUnixSockets { get; set; }

    /// <summary>The pools, by the name that applications ask for as the database.</summary>
    public Dictionary<string, PoolerPoolOptions> Pools { get; set; } = [];

    /// <summary>How many connections all pools may have together; 0 without a limit.</summary>
    public int MaxConnections { get; set; }

    /// <summary>How long a client may take to log in, in seconds.</summary>
    public int LoginTimeoutSeconds { get; set; } = 30;

    /// <summary>How long clients may take to finish after SIGTERM, in seconds.</summary>
    public int GraceSeconds { get; set; } = 30;

    /// <summary>The log.</summary>
    public LogOptions Log { get; set; } = new();
}

/// <summary>TLS for applications.</summary>
internal sealed class PoolerTlsOptions
{
    /// <summary>The PEM file of the certificate with its chain.</summary>
    public string? Certificate { get; set; }

    /// <summary>The PEM file of its key.</summary>
    public string? Key { get; set; }

    /// <summary>True when applications without TLS are refused.</summary>
    public bool Required { get; set; }
}

/// <summary>How a user proves who he is: one of these.</summary>
internal sealed class PoolerUserOptions
{
    /// <summary>A file that holds the password.</summary>
    public string? PasswordFile { get; set; }

    /// <summary>The password, for the environment: TUNNEL_POOLER__USERS__NAME__PASSWORD.</summary>
    public string? Password { get; set; }

    /// <summary>What pg_authid keeps of the password: SCRAM-SHA-256$… or md5….</summary>
    public string? Verifier { get; set; }
}

/// <summary>One pool.</summary>
internal sealed class PoolerPoolOptions
{
    /// <summary>Where the database is: <c>tcp://host:5432</c>, <c>unix:///path/.s.PGSQL.5432</c> or <c>tunnel://hostname</c>.</summary>
    public string Origin { get; set; } = "";

    /// <summary>The service token for a tunnel.</summary>
    public TokenOptions Token { get; set; } = new();

    /// <summary>The roots that the ingress of a tunnel must chain to; the system's without it.</summary>
    public string? IngressCaFile { get; set; }

    /// <summary>Another <c>host:port</c> to connect to for a tunnel; TLS and HTTP keep the hostname's name.</summary>
    public string? ConnectTo { get; set; }

    /// <summary>The database there; the pool's name without it.</summary>
    public string? Database { get; set; }

    /// <summary>The user there.</summary>
    public string User { get; set; } = "";

    /// <summary>A file that holds his password.</summary>
    public string? PasswordFile { get; set; }

    /// <summary>His password, for the environment: TUNNEL_POOLER__POOLS__NAME__PASSWORD.</summary>
    public string? Password { get; set; }

    /// <summary>TLS to the database: disable, prefer, require, verify-ca, verify-full.</summary>
    public string Tls { get; set; } = "prefer";

    /// <summary>Who signs the database's certificate: a PEM file; the system's roots without it.</summary>
    public string? CaFile { get; set; }

    /// <summary>The name that the database's certificate carries; the origin's host without it.</summary>
    public string? ServerName { get; set; }

    /// <summary>True when the login must be bound to the TLS session.</summary>
    public bool RequireChannelBinding { get; set; }

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

    /// <summary>How long a connection may be unused, in seconds.</summary>
    public int ServerIdleTimeoutSeconds { get; set; } = 600;

    /// <summary>How old a connection may become, in seconds.</summary>
    public int ServerLifetimeSeconds { get; set; } = 3600;
}
