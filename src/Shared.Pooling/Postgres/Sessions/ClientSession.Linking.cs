using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Sql;

namespace Shared.Pooling.Postgres.Sessions;

// How the client comes to a server connection, and parts from it.
internal sealed partial class ClientSession
{
    /// <summary>
    /// Asks for a server connection. Its outcome goes to <see cref="Link"/>, whatever it is: whoever serves many transactions awaits this
    /// himself, because each method in between would cost memory while the client waits.
    /// </summary>
    public ValueTask<ServerSession> AcquireAsync()
    {
        if (Pool.TryAcquire(_lastServer) is { } idle)
        {
            return new(idle);
        }

        _wait ??= CancellationTokenSource.CreateLinkedTokenSource(_ending.Token);
        var acquiring = Pool.AcquireAsync(_lastServer, _wait.Token);
        if (!acquiring.IsCompleted)
        {
            Activity.Waiting();
            lock (_waitGate)
            {
                _isWaiting = true;
            }

            FlushInBackground();
        }

        return acquiring;
    }

    /// <summary>Links the server connection and brings its settings to the client's; <see cref="SettleAsync"/> comes next.</summary>
    /// <param name="server">What <see cref="AcquireAsync"/> has brought; null when it failed.</param>
    /// <param name="failure">Why it failed.</param>
    /// <param name="certainly">True when nothing may be asked before the settings are known to hold.</param>
    /// <returns>What the client is told when there is no connection for it; it stays.</returns>
    /// <exception cref="OperationCanceledException">The session ends.</exception>
    public PostgresError? Link(ServerSession? server, Exception? failure, bool certainly = false)
    {
        var canceled = StopWaiting();
        if (server is not null && canceled)
        {
            // The request to cancel came just after the connection.
            Pool.Released(server);
        }

        if (server is null || canceled)
        {
            _ending.Token.ThrowIfCancellationRequested();
            return canceled || failure is OperationCanceledException
                ? PostgresError.Error(SqlState.QueryCanceled, "canceling statement due to user request")
                : PostgresPool.Explain(failure!);
        }

        lock (server.Gate)
        {
            server.Link(this);
            _server = _lastServer = server;
            Prepare(server, certainly);
        }

        Activity.Linked();
        return null;
    }

    /// <summary>Waits where the settings have to hold before anything else is asked.</summary>
    public ValueTask SettleAsync() => _preparing is { } preparing && Server is { } server ? new(WaitAsync(server, preparing)) : ValueTask.CompletedTask;

    /// <summary>The server connection has unlinked this client: its transaction is over.</summary>
    public void Unlinked(ServerSession server)
    {
        Interlocked.CompareExchange(ref _server, null, server);
        Activity.Idle();
    }

    /// <summary>The server connection has ended while this client was linked to it.</summary>
    /// <param name="server">Which.</param>
    /// <param name="loss">Why.</param>
    /// <param name="told">True when the client has the server's own last words.</param>
    public void ServerLost(ServerSession server, ServerLoss loss, bool told)
    {
        Interlocked.CompareExchange(ref _server, null, server);
        End(told ? null : loss.ToError());
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
            server.Pins = _parameters.OnServer.Pin;
        }
    }

    private async Task LearnAsync(CancellationToken cancellationToken)
    {
        using var registration = cancellationToken.UnsafeRegister(static state => ((ClientSession)state!).End(
            PostgresError.Fatal(SqlState.CannotConnectNow, "the login took too long")), this);
        try
        {
            var server = await LinkCertainlyAsync();
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

    // All settings that differ, in front of the client's first request and in one piece with it.
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
        if (!SettingText.IsReadAsUtf8(sql, server.Reported))
        {
            // A query string is read in the encoding that holds when it arrives, whatever it sets itself.
            Inject(server, SettingText.Utf8);
            sql = _parameters.Wanted.DifferenceFrom(server.Settings.With(SqlScanner.ClientEncoding, SettingText.Utf8));
        }

        server.Settings = _parameters.Wanted;
        _parameters.Prepared();
        Inject(server, sql);
    }

    private static void Inject(ServerSession server, string sql)
    {
        server.Conversation.Ask(new PendingRequest { Kind = RequestKind.Query, Injected = true });
        server.Requests.Begin(FrontendMessage.Query).CString(sql).End();
    }

    private async Task WaitAsync(ServerSession server, TaskCompletionSource preparing)
    {
        // Under the wrong user nothing may run, not even for a moment.
        await server.FlushRequestsAsync(this, _ending.Token);
        await preparing.Task.WaitAsync(_ending.Token);
    }

    private async Task<ServerSession> LinkCertainlyAsync()
    {
        ServerSession? server = null;
        Exception? failure = null;
        try
        {
            server = await AcquireAsync();
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            failure = exception;
        }

        if (Link(server, failure, certainly: true) is { } refusal)
        {
            throw new ServerUnavailableException(refusal);
        }

        await SettleAsync();
        return server!;
    }

    /// <returns>True when the wait was canceled; the next one begins anew.</returns>
    private bool StopWaiting()
    {
        if (!_isWaiting)
        {
            return false;
        }

        lock (_waitGate)
        {
            _isWaiting = false;
            if (_wait is not { IsCancellationRequested: true } canceled)
            {
                return false;
            }

            canceled.Dispose();
            _wait = null;
            return true;
        }
    }
}
