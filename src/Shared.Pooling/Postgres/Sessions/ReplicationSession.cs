using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Protocol;
using Shared.Streams;
using Shared.Streams.Relaying;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// A client that replicates: it has a connection to the origin of its own, opened for it and closed behind it, and every byte passes as
/// it is. Only in pools in session mode. Source: PostgreSQL documentation, "Streaming Replication Protocol".
/// </summary>
internal sealed class ReplicationSession(PostgresPool pool, ClientIdentity identity, IPoolEvents events, TimeProvider time)
{
    /// <summary>One that has said CopyDone may take its time to hear the other's.</summary>
    private static readonly RelayOptions Limits = new() { HalfCloseTimeout = TimeSpan.FromMinutes(15) };

    /// <summary>Serves the client until it or the origin ends the connection.</summary>
    /// <exception cref="HandshakeRefusedException">The pool is not in session mode.</exception>
    /// <exception cref="ServerUnavailableException">The origin cannot be reached, or refuses.</exception>
    public async Task RunAsync(
        ClientStartup startup, ClientAcceptance acceptance, byte[] cancelKey, CancelRegistry cancels, CancellationToken limit, CancellationToken cut)
    {
        if (pool.Options.Mode != PoolMode.Session)
        {
            throw new HandshakeRefusedException(PostgresError.Fatal(
                SqlState.FeatureNotSupported, $"pool \"{pool.Name}\" is in {pool.Options.Mode.ToString().ToLowerInvariant()} mode; replication needs one in session mode"));
        }

        List<KeyValuePair<string, string>> parameters = [.. startup.Settings, new("replication", startup.Replication!)];
        var origin = await pool.OpenReplicationAsync(parameters, limit);
        try
        {
            cancels.Assign(identity.Id, cancelKey, token => origin.Connector.CancelAsync(origin, token));
            await WelcomeAsync(startup.Reader, acceptance, origin, cancelKey, limit);
            events.ClientConnected(pool.Name, identity.User, identity.Remote, identity.Id);
            await RelayAsync(startup.Reader.TakeStream(), origin.Reader.TakeStream(), cut);
        }
        finally
        {
            await origin.DisposeAsync();
            pool.CloseReplication();
        }
    }

    private async Task WelcomeAsync(MessageReader reader, ClientAcceptance acceptance, OriginConnection origin, byte[] cancelKey, CancellationToken cancellationToken)
    {
        using var writer = new MessageWriter();
        writer.Bytes(acceptance.Take().Span);
        foreach (var (name, value) in origin.Parameters)
        {
            writer.Begin(BackendMessage.ParameterStatus).CString(name).CString(value).End();
        }

        writer.Begin(BackendMessage.BackendKeyData).Int32(identity.Id).Bytes(cancelKey).End();
        writer.Begin(BackendMessage.ReadyForQuery).Byte((byte)'I').End();
        await reader.Stream.WriteAsync(writer.Written, cancellationToken);
    }

    private async Task RelayAsync(DuplexStream client, DuplexStream origin, CancellationToken cut)
    {
        var start = time.GetTimestamp();
        using var registration = cut.UnsafeRegister(static streams =>
        {
            var (client, origin) = ((DuplexStream, DuplexStream))streams!;
            var reason = new StreamAbort(AbortCode.Shutdown, "the pooler is shutting down");
            client.Abort(reason);
            origin.Abort(reason);
        }, (client, origin));
        var result = await Relay.RunAsync(client, origin, Limits, time);
        events.ClientEnded(
            pool.Name, identity.User, identity.Id, requests: 0, time.GetElapsedTime(start), result.Reason?.ToString() ?? "the replication ended");
    }
}
