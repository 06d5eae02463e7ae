using System.Collections.Concurrent;
using System.Text;
using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Protocol;
using Shared.Streams;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>
/// Looks users up in an origin's database, over one connection of its own that no client's setting ever reaches. Answers are good for a few
/// seconds, so that logins at rate do not become queries at rate, and so many users at most wait to be looked up. Safe for concurrent use.
/// </summary>
public sealed class AuthQuery : IAsyncDisposable
{
    /// <summary>
    /// Needs a superuser. Others call a function of their own: SECURITY DEFINER, owned by a superuser, callable by the looking-up user only.
    /// </summary>
    public const string DefaultQuery =
        "select rolname, rolpassword from pg_catalog.pg_authid where rolname = $1 and rolcanlogin and (rolvaliduntil is null or rolvaliduntil > pg_catalog.now())";

    private const int LargestMessage = 64 * 1024;
    private const int MostRemembered = 10_000;

    private static readonly TimeSpan GoodFor = TimeSpan.FromSeconds(5);

    private readonly OriginConnector _connector;
    private readonly string _query;
    private readonly TimeProvider _time;
    private readonly LookupQueue _queue = new();
#pragma warning disable CA2213 // A login that began before this was disposed of may still come; without a wait handle there is nothing to free.
    private readonly SemaphoreSlim _turn = new(1);
#pragma warning restore CA2213
    private readonly ConcurrentDictionary<string, (ClientCredential? Credential, long At)> _remembered = new(StringComparer.Ordinal);
    private OriginConnection? _connection;
    private bool _isDisposed;

    /// <summary>Names the database; nothing is opened yet.</summary>
    /// <param name="origin">Where, and as whom.</param>
    /// <param name="query">Gives a user's name and what pg_authid keeps of his password, for the name $1.</param>
    /// <param name="time">The clock.</param>
    public AuthQuery(OriginOptions origin, string query, TimeProvider time)
    {
        (_connector, _query, _time) = (new OriginConnector(origin, time), query, time);
    }

    /// <summary>A user's credential; null when the database knows none.</summary>
    /// <param name="user">His name.</param>
    /// <param name="remote">Where the client that gave it connects from.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="IOException">The database cannot be asked, which names the hop, or too many wait already.</exception>
    public async ValueTask<ClientCredential?> FindAsync(string user, string remote, CancellationToken cancellationToken)
    {
        if (TryRecall(user, out var known))
        {
            return known;
        }

        using var place = _queue.TryEnter(user, remote) ?? throw new HandshakeRefusedException(PostgresError.Fatal(
            SqlState.TooManyConnections, "sorry, too many users are being looked up already; try again"));
        await _turn.WaitAsync(cancellationToken);
        try
        {
            // Others may have waited for the same user.
            return TryRecall(user, out known) ? known : Remember(user, await AskAsync(user, cancellationToken));
        }
        finally
        {
            if (_isDisposed)
            {
                await CloseAsync();
            }

            _turn.Release();
        }
    }

    /// <summary>Closes the connection. A login that began before, under a configuration that has just been replaced, is still answered.</summary>
    public async ValueTask DisposeAsync()
    {
        await _turn.WaitAsync();
        _isDisposed = true;
        await CloseAsync();
        _turn.Release();
    }

    private bool TryRecall(string user, out ClientCredential? credential)
    {
        var isKnown = _remembered.TryGetValue(user, out var known) && _time.GetElapsedTime(known.At) < GoodFor;
        credential = isKnown ? known.Credential : null;
        return isKnown;
    }

    private ClientCredential? Remember(string user, ClientCredential? credential)
    {
        if (_remembered.Count >= MostRemembered)
        {
            _remembered.Clear();
        }

        _remembered[user] = (credential, _time.GetTimestamp());
        return credential;
    }

    // A connection that was idle may be gone without our knowing; asking again on a new one does no harm.
    private async Task<ClientCredential?> AskAsync(string user, CancellationToken cancellationToken)
    {
        if (_connection is not null)
        {
            try
            {
                return await RunAsync(_connection, user, cancellationToken);
            }
            catch (IOException)
            {
                await CloseAsync();
            }
            catch
            {
                // The answer may still come, and would be taken for that to the next question.
                await CloseAsync();
                throw;
            }
        }

        try
        {
            _connection = await _connector.ConnectAsync(cancellationToken);
            return await RunAsync(_connection, user, cancellationToken);
        }
        catch
        {
            await CloseAsync();
            throw;
        }
    }

    private async Task<ClientCredential?> RunAsync(OriginConnection connection, string user, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(_connector.Options.ConnectTimeout, _time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        using var writer = new MessageWriter();
        var name = Encoding.UTF8.GetBytes(user);
        writer.Begin(FrontendMessage.Parse).CString("").CString(_query).Int16(0).End();
        writer.Begin(FrontendMessage.Bind).CString("").CString("").Int16(0).Int16(1).Int32(name.Length).Bytes(name).Int16(0).End();
        writer.Begin(FrontendMessage.Execute).CString("").Int32(1).End();
        writer.Begin(FrontendMessage.Sync).End();
        await connection.Stream.WriteAsync(writer.Written, limit.Token);
        ClientCredential? found = null;
        while (true)
        {
            var (type, body) = await connection.Reader.ReadMessageAsync(LargestMessage, limit.Token);
            switch (type)
            {
                case BackendMessage.ReadyForQuery:
                    return found;
                case BackendMessage.DataRow:
                    found = CredentialOf(body.Span, user);
                    break;
                case BackendMessage.ErrorResponse:
                    throw new IOException($"the query that looks users up failed: {PostgresError.Read(body.Span).Message}");
                default:
                    break;
            }
        }
    }

    private static ClientCredential? CredentialOf(ReadOnlySpan<byte> row, string user)
    {
        var fields = new BodyReader(row);
        if (fields.Int16() < 2)
        {
            throw new IOException("the query that looks users up must give two columns: the user's name, and what pg_authid keeps of his password");
        }

        return Column(ref fields) == user && Column(ref fields) is { } stored ? ClientCredential.FromStored(stored) : null;
    }

    private static string? Column(ref BodyReader fields)
    {
        var length = fields.Int32();
        return length < 0 ? null : Encoding.UTF8.GetString(fields.Bytes(length));
    }

    private async ValueTask CloseAsync()
    {
        if (_connection is { } connection)
        {
            _connection = null;
            connection.Stream.Abort(new StreamAbort(AbortCode.Dropped, "the pooler let go of it"));
            await connection.DisposeAsync();
            connection.Reader.Dispose();
        }
    }
}
