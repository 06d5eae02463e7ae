using Shared.Pooling.Postgres.Administration;
using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Postgres.Protocol;
using Shared.Streams;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// Serves clients that speak PostgreSQL, over any stream: handshake, login, and the session over its pool. Safe for concurrent use.
/// First stop of a request: here. Next stop: <see cref="ClientSession"/>.
/// </summary>
/// <param name="pools">Where clients belong.</param>
/// <param name="console">The database of the pooler's own.</param>
/// <param name="credentials">Who they are.</param>
/// <param name="options">How they may connect.</param>
/// <param name="events">The log.</param>
/// <param name="time">The clock.</param>
internal sealed class PostgresFrontend(
    IPoolDirectory pools, AdminConsole console, IClientCredentials credentials, HandshakeOptions options, IPoolEvents events, TimeProvider time)
{
    private static readonly TimeSpan FarewellTimeout = TimeSpan.FromSeconds(5);

    private readonly ClientAuthentication _authentication = new(credentials);
    private readonly CancelRegistry _cancels = new();

    /// <summary>Serves one connection until it ends. Takes the stream over.</summary>
    /// <param name="stream">The client's connection.</param>
    /// <param name="remote">Where it comes from, for the log.</param>
    /// <param name="trusted">True to ask for no password: a Unix socket whose owner says so.</param>
    /// <param name="cut">Ends it.</param>
    public async Task ServeAsync(DuplexStream stream, string remote, bool trusted, CancellationToken cut)
    {
        var reader = new MessageReader(stream);
        using var deadline = new CancellationTokenSource(options.LoginTimeout, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cut, deadline.Token);
        try
        {
            var (startup, cancel) = await new ClientHandshake(options).RunAsync(reader, limit.Token);
            if (cancel is not null)
            {
                await _cancels.CancelAsync(cancel, limit.Token);
                await CloseAsync(reader);
                return;
            }

            if (!trusted)
            {
                await _authentication.RunAsync(startup!, limit.Token);
            }

            if (startup!.Database == AdminConsole.Database)
            {
                await console.ServeAsync(startup, cut);
                await CloseAsync(reader);
                return;
            }

            var pool = pools.Find(startup!) ?? throw new HandshakeRefusedException(PostgresError.Fatal(
                SqlState.InvalidCatalogName, $"no pool is configured for database \"{startup!.Database}\""));
            await ServeAsync(startup!, pool, remote, limit.Token, cut);
        }
        catch (HandshakeRefusedException exception)
        {
            events.ClientRefused(remote, exception.Message);
            await RefuseAsync(reader, exception.Error);
        }
        catch (ServerUnavailableException exception)
        {
            events.ClientRefused(remote, exception.Message);
            await RefuseAsync(reader, exception.Error with { Severity = "FATAL" });
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            // Whoever does not speak the protocol, or is too slow, learns nothing.
            events.ClientRefused(remote, exception is OperationCanceledException ? "the login took too long" : exception.Message);
            await AbortAsync(reader);
        }
    }

    private async Task ServeAsync(ClientStartup startup, PostgresPool pool, string remote, CancellationToken limit, CancellationToken cut)
    {
        if (startup.Replication is not null)
        {
            throw new HandshakeRefusedException(PostgresError.Fatal(
                SqlState.FeatureNotSupported, "replication connections are not pooled; connect to the database by a tunnel-pooler forward listener"));
        }

        var (id, key) = _cancels.Reserve(startup.Minor);
        try
        {
            var settings = SettingsSnapshot.FromStartup(startup.Settings);
            using var client = new ClientSession(pool, new ClientIdentity(id, startup.User, startup.Database, remote), startup.Reader, settings);
            _cancels.Assign(client, key);
            await client.WelcomeAsync(key, limit);
            events.ClientConnected(pool.Name, startup.User, remote, id);
            await pool.ServeAsync(client, cut);
        }
        finally
        {
            _cancels.Release(id);
        }
    }

    private async Task RefuseAsync(MessageReader reader, PostgresError error)
    {
        using var patience = new CancellationTokenSource(FarewellTimeout, time);
        using var writer = new MessageWriter();
        try
        {
            error.Write(writer);
            await reader.Stream.WriteAsync(writer.Written, patience.Token);
            await reader.Stream.CompleteWritesAsync(patience.Token);
            await CloseAsync(reader);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            await AbortAsync(reader);
        }
    }

    private static async Task CloseAsync(MessageReader reader)
    {
        await reader.Stream.CompleteWritesAsync(CancellationToken.None);
        await reader.Stream.DisposeAsync();
        reader.Dispose();
    }

    private static async Task AbortAsync(MessageReader reader)
    {
        reader.Stream.Abort(StreamAbort.Reset);
        await reader.Stream.DisposeAsync();
        reader.Dispose();
    }
}
