using Shared.Pooling.Postgres.Administration;
using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Protocol;
using Shared.Streams;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// Serves clients that speak PostgreSQL, over any stream: handshake, login, and the session over its pool. Safe for concurrent use.
/// First stop of a request: here. Next stop: <see cref="IPoolClient"/>.
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
        var reader = new MessageReader(stream);
        try
        {
            // What only the login needs is not kept for as long as the client stays.
            if (await LogInAsync(reader, source, cut) is { } client)
            {
                await ServeAsync(client, cut);
            }
        }
        catch (HandshakeRefusedException exception)
        {
            events.ClientRefused(source.Remote, exception.Message, exception.Error.Code == SqlState.InvalidPassword);
            await RefuseAsync(reader, exception.Error);
        }
        catch (ServerUnavailableException exception)
        {
            events.ClientRefused(source.Remote, exception.Message, isDenied: false);
            await RefuseAsync(reader, exception.Error with { Severity = "FATAL" });
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            // Whoever does not speak the protocol, or is too slow, learns nothing.
            events.ClientRefused(source.Remote, exception is OperationCanceledException ? "the login took too long" : exception.Message, isDenied: false);
            await AbortAsync(reader);
        }
    }

    /// <returns>The client, welcomed; null when all that it wanted is done.</returns>
    private async Task<IPoolClient?> LogInAsync(MessageReader reader, ClientSource source, CancellationToken cut)
    {
        var configuration = Configuration;
        using var deadline = new CancellationTokenSource(configuration.Handshake.LoginTimeout, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cut, deadline.Token);
        var (startup, cancel) = await new ClientHandshake(configuration.Handshake, source.IsLocal).RunAsync(reader, limit.Token);
        if (cancel is not null)
        {
            await _cancels.CancelAsync(cancel, limit.Token);
            await CloseAsync(reader);
            return null;
        }

        var request = new ClientRequest(startup!.User, startup.Database, startup.ServerName, startup.ClientCertificate, source.Remote);
        var admission = await FindAsync(configuration.Directory, request, limit.Token);
        var acceptance = source.IsTrusted ? ClientAcceptance.WithoutProof() : await _authentication.RunAsync(startup, admission.Credential, limit.Token);
        if (acceptance.Verifier is { } verifier)
        {
            admission.OnProven?.Invoke(verifier);
        }

        try
        {
            if (source.OnRecognized?.Invoke(startup.User) is { } crowded)
            {
                throw new HandshakeRefusedException(PostgresError.Fatal(SqlState.TooManyConnections, crowded));
            }

            return await AdmitAsync(startup, acceptance, admission, source, limit.Token, cut);
        }
        catch (Exception exception) when (exception is HandshakeRefusedException or ServerUnavailableException)
        {
            // Whoever has logged in and is refused nevertheless learns that first, if not yet: libpq would take it for a failed login and try another way.
            await reader.Stream.WriteAsync(acceptance.Take(), limit.Token);
            throw;
        }
    }

    /// <inheritdoc cref="LogInAsync"/>
    private async Task<IPoolClient?> AdmitAsync(
        ClientStartup startup, ClientAcceptance acceptance, ClientAdmission admission, ClientSource source, CancellationToken limit, CancellationToken cut)
    {
        if (startup.Database == AdminConsole.Database)
        {
            await console.ServeAsync(startup, acceptance, Configuration.Administrators, cut);
            await CloseAsync(startup.Reader);
            return null;
        }

        if (admission.Refusal is { } refusal)
        {
            throw new HandshakeRefusedException(PostgresError.Fatal(SqlState.InsufficientPrivilege, refusal));
        }

        var lease = pools.Enter(admission.Pool, admission.Database, startup.User, acceptance.Proof) ?? throw new HandshakeRefusedException(
            PostgresError.Fatal(SqlState.InvalidCatalogName, $"no pool is configured for database \"{startup.Database}\""));
        return await WelcomeAsync(startup, acceptance, lease, source.Remote, limit);
    }

    private static async ValueTask<ClientAdmission> FindAsync(IClientDirectory directory, ClientRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await directory.FindAsync(request, cancellationToken);
        }
        catch (IOException exception) when (exception is not HandshakeRefusedException)
        {
            throw new ServerUnavailableException(PostgresError.Fatal(SqlState.CannotConnectNow, $"the users cannot be looked up: {exception.Message}") with
            {
                Detail = (exception as OriginException)?.Detail,
                Hint = (exception as OriginException)?.Hint,
            });
        }
    }

    private async Task<IPoolClient> WelcomeAsync(ClientStartup startup, ClientAcceptance acceptance, PoolSet.Lease lease, string remote, CancellationToken limit)
    {
        var (id, key) = _cancels.Reserve(startup.Minor);
        var identity = new ClientIdentity(id, startup.User, startup.Database, remote);
        IPoolClient client = startup.Replication is null
            ? new ClientSession(lease, identity, startup.Reader, SettingsSnapshot.FromStartup(startup.Settings))
            : new ReplicationSession(lease, identity, startup);
        try
        {
            _cancels.Assign(id, key, client.CancelAsync);
            await client.WelcomeAsync(acceptance, key, limit);
            events.ClientConnected(lease.Pool.Name, startup.User, remote, id);
            return client;
        }
        catch
        {
            _cancels.Release(id);
            client.Dispose();
            throw;
        }
    }

    private async Task ServeAsync(IPoolClient client, CancellationToken cut)
    {
        try
        {
            await client.Pool.ServeAsync(client, cut);
        }
        finally
        {
            _cancels.Release(client.Identity.Id);
            client.Dispose();
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
