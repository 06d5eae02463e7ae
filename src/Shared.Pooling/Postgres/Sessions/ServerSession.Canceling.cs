namespace Shared.Pooling.Postgres.Sessions;

// How what runs here is canceled: by one request at a time, which must not reach whoever has the connection next.
internal sealed partial class ServerSession
{
    private const string CancelLost = "a request to cancel may still arrive";

    private Task _cancel = Task.CompletedTask;
    private long _cancelOf;
    private bool _cancelOnItsWay;
    private bool _cancelLost;

    /// <summary>
    /// Asks the server to cancel what runs. The connection stays with its client until the server has taken note. Whoever asks again meanwhile
    /// waits along.
    /// </summary>
    public Task CancelAsync(CancellationToken cancellationToken)
    {
        lock (Gate)
        {
            if (_broken != 0 || Conversation.PendingCount == 0)
            {
                return Task.CompletedTask;
            }

            if (_cancel.IsCompleted || _cancelOf != Conversation.ReadyCount)
            {
                _cancelOf = Conversation.ReadyCount;
                _cancel = SendCancelAsync(_cancel, _cancelOf);
            }

            return _cancel.WaitAsync(cancellationToken);
        }
    }

    private async Task SendCancelAsync(Task earlier, long query)
    {
        // Not under the gate.
        await Task.Yield();
        await earlier.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        var isKnown = false;
        try
        {
            isKnown = await _owner.CancelAsync(_origin, () => BeginCancel(query));
        }
        finally
        {
            lock (Gate)
            {
                _cancelOnItsWay = false;
                _cancelLost |= !isKnown;
            }
        }

        try
        {
            await UnlinkWhenIdleAsync();
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            // The connection is lost, and whoever reads from it says so.
        }
    }

    private bool BeginCancel(long query)
    {
        lock (Gate)
        {
            return _cancelOnItsWay = _broken == 0 && Conversation.PendingCount > 0 && Conversation.ReadyCount == query;
        }
    }
}
