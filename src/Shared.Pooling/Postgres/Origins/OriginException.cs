using Shared.Pooling.Postgres.Protocol;
using Shared.Streams.Dialing;

namespace Shared.Pooling.Postgres.Origins;

/// <summary>The origin could not be logged in to. The message names the hop and says what to do; it holds no secret.</summary>
internal sealed class OriginException : IOException
{
    public OriginException(string hop, string sqlState, string message, string? hint, Exception? innerException = null)
        : base(message, innerException)
    {
        (Hop, SqlState, Hint) = (hop, sqlState, hint);
    }

    /// <summary>Where on the way it failed: resolve, connect, proxy, tls, ingress, connector, target, credentials, database, origin, protocol.</summary>
    public string Hop { get; }

    /// <summary>The SQLSTATE that a client is told.</summary>
    public string SqlState { get; }

    /// <summary>What to do; null where the message says it.</summary>
    public string? Hint { get; }

    /// <summary>Where it failed, for a client.</summary>
    public string Detail => InnerException is DialException dial ? StartupRefusal.DetailOf(dial) : $"The connection failed at hop {Hop}.";

    /// <summary>This program has failed, and the origin is not to blame.</summary>
    public static OriginException Fault(Exception exception) => new(
        "origin", Protocol.SqlState.InternalError, "the connection to the database could not be opened by a fault of the pool", "See the pool's log.", exception);

    /// <summary>The origin has refused the login.</summary>
    public static OriginException Refused(PostgresError error, string user, string database) => error.Code switch
    {
        Protocol.SqlState.InvalidPassword or Protocol.SqlState.InvalidAuthorization => new(
            "credentials", error.Code, $"the database refuses user \"{user}\": {error.Message}", "Check the pool's User and Password, and the database's pg_hba.conf."),
        Protocol.SqlState.InvalidCatalogName => new(
            "database", error.Code, $"the database server has no database \"{database}\": {error.Message}", "Check the pool's Database."),
        Protocol.SqlState.TooManyConnections => new(
            "origin", error.Code, $"the database has no connection left: {error.Message}", "Lower the pool's Max, or raise the database's max_connections."),
        _ => new("origin", error.Code, $"the database refuses the connection: {error.Message}", error.Hint ?? "See the database's log."),
    };
}
