using Shared.Hosting.Configuration;
using Shared.Hosting.Logging;
using Shared.Pooling.Hosting;
using Shared.Pooling.Postgres.Clients;

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

    /// <summary>How many clients all pools may have together.</summary>
    public int MaxClients { get; set; } = 10_000;

    /// <summary>How many connections all pools may have together; 0 without a limit.</summary>
    public int MaxConnections { get; set; }

    /// <summary>How long a client may take to log in, in seconds.</summary>
    public int LoginTimeoutSeconds { get; set; } = 30;

    /// <summary>How long clients may take to finish after SIGTERM, in seconds.</summary>
    public int GraceSeconds { get; set; } = 30;

    /// <summary>The management address: health and metrics. Loopback, or a Unix socket; none without it.</summary>
    public string? Management { get; set; }

    /// <summary>True when others than this host may ask for health and metrics: the management address may be any.</summary>
    public bool ManagementAllowRemote { get; set; }

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

    /// <summary>Who signs the applications' certificates: a PEM file; they are asked for none without it.</summary>
    public string? ClientCaFile { get; set; }

    /// <summary>True when applications without a certificate are refused, whatever else they prove.</summary>
    public bool RequireClientCertificate { get; set; }
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

    /// <summary>True when a certificate with the user's name is needed, and enough.</summary>
    public bool Certificate { get; set; }
}

/// <summary>One pool.</summary>
internal sealed class PoolerPoolOptions : PooledDatabaseOptions
{
    /// <summary>Where the database is: <c>tcp://host:5432</c>, <c>unix:///path/.s.PGSQL.5432</c> or <c>tunnel://hostname</c>.</summary>
    public string Origin { get; set; } = "";

    /// <summary>The service token for a tunnel.</summary>
    public TokenOptions Token { get; set; } = new();

    /// <summary>The roots that the ingress of a tunnel must chain to; the system's without it.</summary>
    public string? IngressCaFile { get; set; }

    /// <summary>Another <c>host:port</c> to connect to for a tunnel; TLS and HTTP keep the hostname's name.</summary>
    public string? ConnectTo { get; set; }

    /// <summary>A file that holds his password.</summary>
    public string? PasswordFile { get; set; }

    /// <summary>His password, for the environment: TUNNEL_POOLER__POOLS__NAME__PASSWORD.</summary>
    public string? Password { get; set; }

    /// <summary>Who signs the database's certificate: a PEM file; the system's roots without it.</summary>
    public string? CaFile { get; set; }

    /// <summary>The PEM file of our certificate, when the database asks for one.</summary>
    public string? ClientCertificate { get; set; }

    /// <summary>The PEM file of its key.</summary>
    public string? ClientKey { get; set; }

    /// <summary>Looks users up in the database itself.</summary>
    public AuthQueryOptions AuthQuery { get; set; } = new();

    /// <summary>The users who may use it; everybody when empty.</summary>
    public List<string> AllowUsers { get; set; } = [];
}

/// <summary>Looks users up in the database itself; used for users that the configuration does not name.</summary>
internal sealed class AuthQueryOptions
{
    /// <summary>The user that looks them up; none are looked up without one.</summary>
    public string? User { get; set; }

    /// <summary>A file that holds his password.</summary>
    public string? PasswordFile { get; set; }

    /// <summary>His password, for the environment.</summary>
    public string? Password { get; set; }

    /// <summary>Gives a user's name and what pg_authid keeps of his password, for the name $1.</summary>
    public string Query { get; set; } = AuthQuery.DefaultQuery;
}
