using Microsoft.Extensions.Logging;
using Shared.Streams;
using Shared.Streams.Dialing;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using Shared.Streams.Relaying;
using TunnelConnector.Channels;
using TunnelConnector.Ingress;

namespace TunnelConnector.Carriers;

/// <summary>
/// Keeps a few authenticated carriers at one ingress, and serves the streams that it opens on them. A carrier that is lost takes its
/// streams with it and is followed by another one. Several, because one lost packet holds up all streams of its carrier, and because
/// a processor core encrypts for one carrier. Safe for concurrent use.
/// </summary>
internal sealed class CarrierSet(
    CarrierDialer dialer,
    Uri ingress,
    Registered registration,
    StreamServer server,
    StreamSet<string> streams,
    int carriers,
    TimeProvider time,
    ILogger<CarrierSet> logger) : IStreamIntake
{
    private readonly CancellationTokenSource _closed = new();
    private readonly CancellationTokenSource _draining = new();
    private readonly TaskCompletionSource _fault = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private readonly HashSet<Task> _serving = [];
    private Task[] _running = [];

    /// <inheritdoc/>
    public Task Fault => _fault.Task;

    /// <inheritdoc/>
    public void Start() => _running = [.. Enumerable.Range(0, carriers).Select(_ => KeepAsync())];

    /// <inheritdoc/>
    public void OnDemand(int channels)
    {
        // Whoever waits gets the first carrier that comes; one is being dialled already.
    }

    /// <inheritdoc/>
    public void Drain() => _draining.Cancel();

    /// <inheritdoc/>
    public async Task WhenDrainedAsync(CancellationToken cancellationToken)
    {
        await Task.WhenAll(_running).WaitAsync(cancellationToken);
        await Task.WhenAll(Serving()).WaitAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Drain();
        await _closed.CancelAsync();
        await Task.WhenAll(_running);
        await Task.WhenAll(Serving());
        _closed.Dispose();
        _draining.Dispose();
    }

    /// <summary>One carrier after another, until the session is over.</summary>
    private async Task KeepAsync()
    {
        var backoff = new Backoff(time, Random.Shared);
        try
        {
            while (!_draining.IsCancellationRequested)
            {
                await CarryAsync(backoff);
                if (!_draining.IsCancellationRequested)
                {
                    await Task.Delay(backoff.Next(), time, _draining.Token);
                }
            }
        }
        catch (OperationCanceledException) when (_draining.IsCancellationRequested)
        {
            // The session is over.
        }
        catch (Exception exception)
        {
            _fault.TrySetException(exception);
        }
    }

    /// <summary>Dials a carrier and serves its streams until it ends.</summary>
    private async Task CarryAsync(Backoff backoff)
    {
        try
        {
            var carrier = await dialer.DialAsync(ingress, registration.Session, _draining.Token);
            backoff.Connected();
            var multiplexer = new Multiplexer(carrier, time, Serve);
            await using var cut = _closed.Token.Register(
                () => multiplexer.Abort(new StreamAbort(AbortCode.ConnectionLost, "the connector's session ended")));
            await multiplexer.RunAsync();
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
            logger.CarrierLost(ingress, exception.Message);
        }
    }

    private void Serve(IncomingStream incoming)
    {
        var serving = server.ServeAsync(incoming, registration.Tunnel, streams, _closed.Token);
        if (serving.IsCompleted)
        {
            return;
        }

        lock (_gate)
        {
            _serving.Add(serving);
        }

        _ = serving.ContinueWith(
            Forget, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    private void Forget(Task serving)
    {
        lock (_gate)
        {
            _serving.Remove(serving);
        }
    }

    private Task[] Serving()
    {
        lock (_gate)
        {
            return [.. _serving];
        }
    }
}
