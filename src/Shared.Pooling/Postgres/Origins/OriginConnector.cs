using Shared.Pooling.Postgres.Protocol;
using Shared.Streams;
using Shared.Streams.Dialing;

namespace Shared.Pooling.Postgres.Origins;

/// <summary>
/// Opens connections to an origin: dials, encrypts, logs in. The same for every transport. Safe for concurrent use.
/// </summary>
/// <param name="options">Where and as whom.</param>
/// <param name="time">The clock.</param>
internal sealed class OriginConnector(OriginOptions options, TimeProvider time)
{
    private const int CancelRequestCode = 80877102;

    /// <summary>Where and as whom.</summary>
    public OriginOptions Options { get; } = options;

    /// <summary>Opens a connection.</summary>
    /// <exception cref="OriginException">It could not be opened; names the hop.</exception>
    /// <exception cref="OperationCanceledException">The caller does not want it any more.</exception>
    public ValueTask<OriginConnection> ConnectAsync(CancellationToken cancellationToken) => ConnectAsync([], cancellationToken);

    /// <summary>Opens a connection with further parameters in its startup message.</summary>
    /// <exception cref="OriginException">It could not be opened; names the hop.</exception>
    /// <exception cref="OperationCanceledException">The caller does not want it any more.</exception>
    public async ValueTask<OriginConnection> ConnectAsync(IReadOnlyList<KeyValuePair<string, string>> parameters, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(Options.ConnectTimeout, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        var reader = await OpenAsync(limit.Token, cancellationToken);
        try
        {
            using var login = new OriginLogin(this, reader);
            return await login.RunAsync(parameters, limit.Token);
        }
        catch (Exception exception)
        {
            reader.Stream.Abort(new StreamAbort(AbortCode.Dropped, "the login failed"));
            await reader.Stream.DisposeAsync();
            reader.Dispose();
            if (Explain(exception, cancellationToken) is { } explained)
            {
                throw explained;
            }

            throw;
        }
    }

    /// <summary>Asks the server to cancel what runs on a connection, and waits until it has taken the request: until it closes.</summary>
    /// <returns>Null when it has; otherwise why nobody knows: the request may still arrive.</returns>
    /// <exception cref="IOException">The request was not sent.</exception>
    /// <exception cref="OperationCanceledException">The request was not sent in time.</exception>
    public async Task<string?> CancelAsync(OriginConnection connection, CancellationToken cancellationToken)
    {
        var reader = await OpenAsync(cancellationToken, cancellationToken);
        await using var stream = reader.Stream;
        using var request = new MessageWriter();
        request.BeginUntyped().Int32(CancelRequestCode).Int32(connection.ProcessId).Bytes(connection.CancelKey).End();
        try
        {
            await stream.WriteAsync(request.Written, cancellationToken);
            while (reader.Add(await reader.ReadAsync(cancellationToken)))
            {
                reader.Advance(reader.Buffered.Length);
            }

            return null;
        }
        catch (StreamAbortedException exception) when (exception.Reason.Code is AbortCode.Reset or AbortCode.Truncated)
        {
            // Closed is closed: the postmaster may well reset, and says no farewell in TLS.
            return null;
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            return exception.Message;
        }
        finally
        {
            reader.Dispose();
        }
    }

    private async ValueTask<MessageReader> OpenAsync(CancellationToken limit, CancellationToken caller)
    {
        DuplexStream? stream = null;
        try
        {
            stream = await Options.Dialer.DialAsync(limit);
            var reader = new MessageReader(stream);
            await OriginEncryption.NegotiateAsync(reader, Options, limit);
            return reader;
        }
        catch (Exception exception)
        {
            if (stream is not null)
            {
                stream.Abort(new StreamAbort(AbortCode.Dropped, "the connection could not be encrypted"));
                await stream.DisposeAsync();
            }

            if (Explain(exception, caller) is { } explained)
            {
                throw explained;
            }

            throw;
        }
    }

    private OriginException? Explain(Exception exception, CancellationToken caller) => exception switch
    {
        OriginException known => known,
        DialException dial => new(dial.Hop.ToWire(), SqlState.UnableToConnect, dial.Message, hint: null, dial),
        OperationCanceledException when !caller.IsCancellationRequested => new(
            "origin", SqlState.UnableToConnect, $"{Options.Dialer} did not finish the login within {Options.ConnectTimeout.TotalSeconds:0.#} s",
            "Is that a PostgreSQL, and not overloaded?", exception),
        ProtocolViolationException => new(
            "protocol", SqlState.ConnectionFailure, $"{Options.Dialer} does not behave as a PostgreSQL: {exception.Message}", "Is that a PostgreSQL?", exception),
        IOException => new(
            "origin", SqlState.ConnectionFailure, $"{Options.Dialer} ended the connection during the login: {exception.Message}", "See the database's log.", exception),
        _ => null,
    };
}
