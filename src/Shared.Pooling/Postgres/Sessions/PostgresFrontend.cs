using Shared.Pooling.Postgres.Administration;
using Shared.Pooling.Postgres.Authentication;
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
/// <param name="events">The log.</param>
/// <param name="time">The clock.</param>
internal sealed class PostgresFrontend(PoolSet pools, AdminConsole console, IPoolEvents events, TimeProvider time)
{
    private static readonly TimeSpan FarewellTimeout = TimeSpan.FromSeconds(5);

    private readonly ClientAuthentication _authentication = new();
    private readonly CancelRegistry _cancels = new();
    private volatile PoolerConfiguration _configuration = null!;

    /// <summary>Who may connect, and how; may be changed at any time.</summary>
    public required PoolerConfiguration Configuration
    {
        get => _configuration;
        set => _configuration = value;
    }

    /// <summary>Serves one connection until it ends. Takes the stream over.</summary>
    /// <param name="stream">The client's connection.</param>
    /// <param name="source">How it came to us.</param>
    /// <param name="cut">Ends it.</param>
    public async Task ServeAsync(DuplexStream stream, ClientSource source, CancellationToken cut)
    {
        var remote = source.Remote;
        var configuration = Configuration;
        var reader = new MessageReader(stream);
        using var deadline = new CancellationTokenSource(configuration.Handshake.LoginTimeout, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cut, deadline.Token);
        try
        {
            var (startup, cancel) = await new ClientHandshake(configuration.Handshake, source.IsLocal).RunAsync(reader, limit.Token);
            if (cancel is not null)
            {
                await _cancels.CancelAsync(cancel, limit.Token);
            }
            else
            {
                await ServeAsync(configuration, startup!, source, limit.Token, cut);
                if (startup!.Database != AdminConsole.Database)
                {
                    return;
                }
            }

            await CloseAsync(reader);
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

    private async Task ServeAsync(
        PoolerConfiguration configuration, ClientStartup startup, ClientSource source, CancellationToken limit, CancellationToken cut)
    {
        var request = new ClientRequest(startup.User, startup.Database, startup.ServerName, startup.ClientCertificate, source.Remote);
        var admission = await FindAsync(configuration.Directory, request, limit);
        var proof = source.IsTrusted ? LoginProof.None : await _authentication.RunAsync(startup, admission.Credential, limit);
        if (startup.Database == AdminConsole.Database)
        {
            await console.ServeAsync(startup, configuration.Administrators, cut);
            return;
        }

        if (admission.Refusal is { } refusal)
        {
            throw new HandshakeRefusedException(PostgresError.Fatal(SqlState.InsufficientPrivilege, refusal));
        }

        using var lease = pools.Enter(admission.Pool, admission.Database, startup.User, proof) ?? throw new HandshakeRefusedException(
            PostgresError.Fatal(SqlState.InvalidCatalogName, $"no pool is configured for database \"{startup.Database}\""));
        await ServeAsync(startup, lease.Pool, source.Remote, limit, cut);
    }

    private static async ValueTask<ClientAdmission> FindAsync(IClientDirectory directory, ClientRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await directory.FindAsync(request, cancellationToken);
        }
        catch (IOException exception)
        {
            throw new ServerUnavailableException(PostgresError.Fatal(SqlState.CannotConnectNow, $"the users cannot be looked up: {exception.Message}"));
        }
    }

    private async Task ServeAsync(ClientStartup startup, PostgresPool pool, string remote, CancellationToken limit, CancellationToken cut)
    {
        var (id, key) = _cancels.Reserve(startup.Minor);
        var identity = new ClientIdentity(id, startup.User, startup.Database, remote);
        try
        {
            if (startup.Replication is not null)
            {
                await new ReplicationSession(pool, identity, events, time).RunAsync(startup, key, _cancels, limit, cut);
                return;
            }

            var settings = SettingsSnapshot.FromStartup(startup.Settings);
            using var client = new ClientSession(pool, identity, startup.Reader, settings);
            _cancels.Assign(id, key, client.CancelAsync);
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
