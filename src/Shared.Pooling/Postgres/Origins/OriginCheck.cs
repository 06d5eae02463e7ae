using Shared.Pooling.Postgres.Protocol;
using Shared.Streams.Tls;

namespace Shared.Pooling.Postgres.Origins;

/// <summary>Tries an origin from end to end: dials, encrypts, logs in and runs a query. Safe for concurrent use.</summary>
/// <param name="connector">Opens its connections.</param>
/// <param name="time">The clock.</param>
internal sealed class OriginCheck(OriginConnector connector, TimeProvider time)
{
    private const int LargestMessage = 64 * 1024;

    /// <summary>Tries it.</summary>
    /// <exception cref="OperationCanceledException">The caller does not want to know any more.</exception>
    public async Task<OriginReport> RunAsync(string pool, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        try
        {
            await using var connection = await connector.ConnectAsync(cancellationToken);
            var login = time.GetElapsedTime(start);
            start = time.GetTimestamp();
            using var deadline = new CancellationTokenSource(connector.Options.ConnectTimeout, time);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
            await QueryAsync(connection, limit.Token);
            connection.Parameters.TryGetValue("server_version", out var version);
            return new OriginReport(pool, null, null, null, version, connection.Stream is TlsStream, login, time.GetElapsedTime(start));
        }
        catch (OriginException exception)
        {
            return new OriginReport(pool, exception.Message, exception.Hop, exception.Hint, null, false, time.GetElapsedTime(start), TimeSpan.Zero);
        }
        catch (Exception exception) when (exception is IOException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return new OriginReport(
                pool, $"the login succeeded, but a query does not: {exception.Message}", "origin", "See the database's log.", null, false,
                time.GetElapsedTime(start), TimeSpan.Zero);
        }
    }

    private static async Task QueryAsync(OriginConnection connection, CancellationToken cancellationToken)
    {
        using var query = new MessageWriter();
        query.Begin(FrontendMessage.Query).CString("select 1").End();
        await connection.Stream.WriteAsync(query.Written, cancellationToken);
        while (true)
        {
            var (type, body) = await connection.Reader.ReadMessageAsync(LargestMessage, cancellationToken);
            switch (type)
            {
                case BackendMessage.ReadyForQuery:
                    return;
                case BackendMessage.ErrorResponse:
                    throw new ProtocolViolationException(PostgresError.Read(body.Span).Message);
                default:
                    break;
            }
        }
    }
}
