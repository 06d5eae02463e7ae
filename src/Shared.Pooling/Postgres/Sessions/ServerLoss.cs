using Shared.Pooling.Postgres.Protocol;
using Shared.Streams;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>Why a connection to the database has ended.</summary>
/// <param name="Reason">For people.</param>
internal sealed record ServerLoss(string Reason)
{
    /// <summary>The server has closed it, and said nothing.</summary>
    public static readonly ServerLoss Closed = new("the server closed the connection") { At = "at hop origin (closed)", Hint = SeeDatabase };

    private const string SeeDatabase = "Connect again; the database's log says why.";

    private string? At { get; init; }

    private string? Hint { get; init; }

    /// <summary>Reading or writing has failed.</summary>
    public static ServerLoss From(Exception exception) => exception switch
    {
        StreamAbortedException { Reason.Code: var code } => new(exception.Message) { At = $"{Place(code)} ({code.ToWire()})", Hint = HintOf(code) },
        ProtocolViolationException => new(exception.Message) { At = "at hop protocol", Hint = "Is that a PostgreSQL?" },
        _ => new(exception.Message),
    };

    /// <summary>What the client is told.</summary>
    public PostgresError ToError() => PostgresError.Fatal(SqlState.ConnectionFailure, $"the connection to the database was lost: {Reason}") with
    {
        Detail = At is null ? null : $"The connection was lost {At}.",
        Hint = Hint,
    };

    // A reset travels the whole way; of the rest, programs on the way tell what they have seen, and not who they are.
    private static string Place(AbortCode code) => code switch
    {
        AbortCode.Reset or AbortCode.Dropped or AbortCode.Truncated => "at hop origin",
        AbortCode.Revoked => "at hop ingress",
        _ => "between here and the database",
    };

    private static string HintOf(AbortCode code) => code switch
    {
        AbortCode.Reset or AbortCode.Dropped or AbortCode.Truncated => SeeDatabase,
        AbortCode.Revoked => "The service token or the service was withdrawn; the ingress's log says which.",
        _ => "Connect again; the logs of ingress and connector, or the network to the database, say why.",
    };
}
