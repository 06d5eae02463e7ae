using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Sessions;

// How the client comes to a server connection, and parts from it.
internal sealed partial class ClientSession
{
    /// <summary>Links a free server connection and brings its settings to the client's.</summary>
    /// <exception cref="ServerUnavailableException">There is none; the client stays.</exception>
    public ValueTask<ServerSession> LinkAsync() => LinkAsync(certainly: false);

    private async ValueTask<ServerSession> LinkAsync(bool certainly)
    {
        var acquiring = Pool.AcquireAsync(_lastServer, _wait.Token);
        var server = acquiring.IsCompletedSuccessfully ? acquiring.Result : await WaitAsync(acquiring);
        lock (server.Gate)
        {
            server.Link(this);
            _server = _lastServer = server;
            Prepare(server, certainly);
        }

        Activity.Linked();
        if (_preparing is { } preparing)
        {
            // Under the wrong user nothing may run, not even for a moment.
            await server.FlushRequestsAsync(this, _ending.Token);
            await preparing.Task.WaitAsync(_ending.Token);
        }

        return server;
    }

    /// <summary>The server connection has unlinked this client: its transaction is over.</summary>
    public void Unlinked(ServerSession server)
    {
        Interlocked.CompareExchange(ref _server, null, server);
        Activity.Idle();
    }

    /// <summary>The server connection has ended while this client was linked to it.</summary>
    /// <param name="server">Which.</param>
    /// <param name="reason">Why, for people.</param>
    /// <param name="told">True when the client has the server's own last words.</param>
    public void ServerLost(ServerSession server, string reason, bool told)
    {
        Interlocked.CompareExchange(ref _server, null, server);
        End(told ? null : PostgresError.Fatal(SqlState.ConnectionFailure, $"the connection to the database was lost: {reason}"));
    }

    /// <summary>The settings that hold once the open transaction is rolled back.</summary>
    public SettingsSnapshot SettingsAfterRollback()
    {
        _parameters.TransactionEnded(committed: false);
        return _parameters.OnServer;
    }

    /// <inheritdoc/>
    public void Prepared()
    {
        SayReported(_server!.Reported);
        _preparing?.TrySetResult();
        _preparing = null;
    }

    /// <inheritdoc/>
    public void Probed(bool clean)
    {
        if (clean && _server is { } server)
        {
            server.Pins = Pins.None;
        }
    }

    private async Task LearnAsync(CancellationToken cancellationToken)
    {
        using var registration = cancellationToken.UnsafeRegister(static state => ((ClientSession)state!).End(
            PostgresError.Fatal(SqlState.CannotConnectNow, "the login took too long")), this);
        try
        {
            var server = await LinkAsync(certainly: true);
            lock (server.Gate)
            {
                SayReported(server.Reported);
            }

            await server.UnlinkWhenIdleAsync();
        }
        catch (OperationCanceledException)
        {
            throw new Clients.HandshakeRefusedException(_farewell ?? PostgresError.Fatal(SqlState.ConnectionFailure, "the connection to the database was lost"));
        }
    }

    // One query string for all settings that differ, in front of the client's first request and in one piece with it.
    private void Prepare(ServerSession server, bool certainly)
    {
        var sql = _parameters.Wanted.DifferenceFrom(server.Settings);
        if (sql.Length == 0)
        {
            _parameters.Prepared();
            SayReported(server.Reported);
            return;
        }

        _preparing = certainly || _parameters.Wanted.ChangesIdentity(server.Settings) ? new(TaskCreationOptions.RunContinuationsAsynchronously) : null;
        server.Settings = _parameters.Wanted;
        _parameters.Prepared();
        server.Conversation.Ask(new PendingRequest { Kind = RequestKind.Query, Injected = true });
        server.Requests.Begin(FrontendMessage.Query).CString(sql).End();
    }

    private async ValueTask<ServerSession> WaitAsync(ValueTask<ServerSession> acquiring)
    {
        Activity.Waiting();
        lock (_waitGate)
        {
            _isWaiting = true;
        }

        FlushInBackground();
        ServerSession? server = null;
        var canceled = false;
        try
        {
            server = await acquiring;
        }
        catch (OperationCanceledException)
        {
            // Told below, as when the request to cancel comes just after the connection.
        }
        finally
        {
            canceled = StopWaiting();
        }

        if (!canceled && server is not null)
        {
            return server;
        }

        if (server is not null)
        {
            Pool.Released(server);
        }

        _ending.Token.ThrowIfCancellationRequested();
        throw new ServerUnavailableException(PostgresError.Error(SqlState.QueryCanceled, "canceling statement due to user request"));
    }

    /// <returns>True when the wait was canceled; the next one begins anew.</returns>
    private bool StopWaiting()
    {
        lock (_waitGate)
        {
            _isWaiting = false;
            if (!_wait.IsCancellationRequested)
            {
                return false;
            }

            _wait.Dispose();
            _wait = CancellationTokenSource.CreateLinkedTokenSource(_ending.Token);
            return true;
        }
    }
}
