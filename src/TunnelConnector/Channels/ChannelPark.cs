using Microsoft.Extensions.Logging;
using Shared.Streams.Dialing;
using Shared.Streams.Protocol;
using Shared.Streams.Relaying;
using Shared.Streams.WebSockets;

namespace TunnelConnector.Channels;

/// <summary>
/// Keeps authenticated data channels ready at one ingress, so that a new stream needs no handshake: a channel that is asked to
/// open is replaced at once, and what the ingress says it waits for is dialled on top. Safe for concurrent use.
/// </summary>
internal sealed class ChannelPark(
    WebSocketDialer dialer,
    Uri ingress,
    Registered registration,
    StreamServer server,
    StreamSet<string> streams,
    int parked,
    TimeProvider time,
    ILogger<ChannelPark> logger) : IStreamIntake
{
    private const int MaxIdle = 128;
    private const int MaxDialing = 16;
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LastRetry = TimeSpan.FromSeconds(5);

    private readonly Uri _dataUri = new(ingress, TunnelProtocol.DataPath);
    private readonly KeyValuePair<string, string>[] _headers = [new(TunnelProtocol.SessionHeader, registration.Session)];
    private readonly SemaphoreSlim _dialing = new(MaxDialing, MaxDialing);
    private readonly HashSet<Task> _channels = [];
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _closed = new();
    private readonly TaskCompletionSource _fault = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _idle;
    private int _demand;
    private int _failures;
    private volatile bool _draining;

    /// <inheritdoc/>
    public Task Fault => _fault.Task;

    /// <inheritdoc/>
    public void Start() => TopUp();

    /// <inheritdoc/>
    public void OnDemand(int channels)
    {
        lock (_gate)
        {
            _demand = Math.Clamp(channels, _demand, MaxIdle - parked);
        }

        TopUp();
    }

    /// <inheritdoc/>
    public void Drain()
    {
        lock (_gate)
        {
            _draining = true;
        }
    }

    /// <inheritdoc/>
    public Task WhenDrainedAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            return Task.WhenAll(_channels).WaitAsync(cancellationToken);
        }
    }

    /// <summary>Cuts what is parked or being dialled, and waits for all channels to end. Streams are the caller's to cut.</summary>
    public async ValueTask DisposeAsync()
    {
        Drain();
        await _closed.CancelAsync();
        Task[] running;
        lock (_gate)
        {
            running = [.. _channels];
        }

        await Task.WhenAll(running);
        _closed.Dispose();
        _dialing.Dispose();
    }

    private void TopUp()
    {
        lock (_gate)
        {
            while (!_draining && _idle < Math.Min(MaxIdle, parked + _demand))
            {
                _idle++;
                _channels.Add(RunChannelAsync());
            }

            _channels.RemoveWhere(static channel => channel.IsCompleted);
        }
    }

    private async Task RunChannelAsync()
    {
        // Leaves the caller's lock before anything else happens.
        await Task.Yield();
        DataChannel? channel = null;
        Open? open = null;
        try
        {
            try
            {
                open = await ParkAsync(dialed => channel = dialed);
            }
            finally
            {
                LeaveIdle(opened: open is not null);
            }

            if (open is not null)
            {
                await server.ServeAsync(new ChannelRequest(channel!, open), registration.Tunnel, streams, _closed.Token);
            }
        }
        catch (OperationCanceledException) when (_closed.IsCancellationRequested)
        {
            // The session is over.
        }
        catch (Exception exception)
        {
            _fault.TrySetException(exception);
        }
        finally
        {
            channel?.Dispose();
        }
    }

    /// <summary>
    /// Dials a channel and waits until it is asked to open. Null when it was lost or closed before: then only after a wait, so that
    /// an ingress that closes at once is not dialled in a tight loop.
    /// </summary>
    private async Task<Open?> ParkAsync(Action<DataChannel> onDialed)
    {
        try
        {
            var channel = await DialAsync();
            onDialed(channel);
            switch (await channel.ReceiveAsync(_closed.Token))
            {
                case Open open:
                    _failures = 0;
                    return open;
                case null:
                    break;
                case var other:
                    throw new ProtocolException($"{other.GetType().Name} on a parked channel");
            }
        }
        catch (DialException) when (_draining)
        {
            // The ingress takes no channel of a session that is over; this one was under way.
        }
        catch (DialException exception)
        {
            logger.ChannelFailed(ingress, exception.Hop.ToWire(), exception.Code, exception.Message);
        }
        catch (ProtocolException exception)
        {
            logger.ChannelFailed(ingress, Hop.Ingress.ToWire(), "protocol-error", exception.Message);
        }
        catch (IOException exception)
        {
            logger.ParkedChannelLost(ingress, exception.Message);
        }

        if (!_draining)
        {
            await Task.Delay(RetryDelay(), time, _closed.Token);
        }

        return null;
    }

    private async Task<DataChannel> DialAsync()
    {
        await _dialing.WaitAsync(_closed.Token);
        try
        {
            var (webSocket, _) = await dialer.DialAsync(_dataUri, _headers, pings: false, _closed.Token);
            return new DataChannel(webSocket);
        }
        finally
        {
            _dialing.Release();
        }
    }

    private void LeaveIdle(bool opened)
    {
        lock (_gate)
        {
            _idle--;
            _demand -= opened && _demand > 0 ? 1 : 0;
        }

        TopUp();
    }

    private TimeSpan RetryDelay()
    {
        var failures = Interlocked.Increment(ref _failures);
        var bound = TimeSpan.FromTicks(Math.Min(LastRetry.Ticks, FirstRetry.Ticks << Math.Min(failures, 8)));
        return bound * (0.5 + (Random.Shared.NextDouble() / 2));
    }
}
