using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;

namespace Shared.Streams.Dialing;

/// <summary>
/// The carriers of an application to one tunnel hostname: dialled when a stream needs one, shared by the streams that follow, closed when
/// none was opened for a while. A second one is dialled as soon as the first is in use, because a lost packet holds up all streams of a
/// carrier and a processor core encrypts for one. Safe for concurrent use.
/// </summary>
internal sealed class TunnelCarriers : IAsyncDisposable
{
    private const int Most = 2;

    private static readonly TimeSpan IdleTimeout = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromSeconds(5);

    private readonly Uri _hostname;
    private readonly WebSocketDialerOptions _options;
    private readonly TlsCarrierDialer _dialer;
    private readonly Lock _gate = new();
    private readonly Dictionary<Multiplexer, Task> _carriers = [];
    private readonly CancellationTokenSource _closed = new();
    private readonly ITimer _idle;
    private Task<Multiplexer?>? _dialing;
    private long _lastUse;
    private long _failedAt;

    /// <param name="hostname">The tunnel hostname, as a wss URI.</param>
    /// <param name="options">How to reach the ingress.</param>
    public TunnelCarriers(Uri hostname, WebSocketDialerOptions options)
    {
        (_hostname, _options) = (hostname, options);
        _dialer = new TlsCarrierDialer(options);
        _idle = options.Time.CreateTimer(static state => ((TunnelCarriers)state!).CloseIdle(), this, IdleTimeout, IdleTimeout);
    }

    /// <summary>The carrier with the fewest streams, or a new one.</summary>
    /// <returns>Null where the ingress takes no carriers.</returns>
    /// <exception cref="DialException">The ingress cannot be reached, or refuses.</exception>
    /// <exception cref="IOException">The carrier broke, or the ingress broke the protocol.</exception>
    public async ValueTask<Multiplexer?> TakeAsync(CancellationToken cancellationToken)
    {
        Task<Multiplexer?> dialing;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_closed.IsCancellationRequested, this);
            _lastUse = _options.Time.GetTimestamp();
            var best = Best(out var usable);
            if (best is null || (best.StreamCount > 0 && usable < Most && !HasJustFailed))
            {
                _dialing ??= Observed(DialAsync());
            }

            if (best is not null)
            {
                return best;
            }

            dialing = _dialing!;
        }

        return await dialing.WaitAsync(cancellationToken);
    }

    /// <summary>Opens nothing more on a carrier; what runs on it goes on.</summary>
    public void Retire(Multiplexer carrier)
    {
        lock (_gate)
        {
            _carriers.Remove(carrier);
        }

        carrier.Drain();
    }

    /// <summary>Cuts all carriers and their streams.</summary>
    public async ValueTask DisposeAsync()
    {
        await _idle.DisposeAsync();
        await _closed.CancelAsync();
        Task[] running;
        lock (_gate)
        {
            running = [.. _carriers.Values, _dialing ?? Task.CompletedTask];
        }

        await Task.WhenAll(running).ContinueWith(
            static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        _closed.Dispose();
    }

    /// <summary>Nobody may be waiting for a second carrier, and then its failure is nobody's.</summary>
    private static Task<Multiplexer?> Observed(Task<Multiplexer?> dialing)
    {
        _ = dialing.ContinueWith(
            static failed => failed.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return dialing;
    }

    /// <summary>Holds up the second carrier only.</summary>
    private bool HasJustFailed => Volatile.Read(ref _failedAt) is var failedAt and not 0 && _options.Time.GetElapsedTime(failedAt) < PauseAfterFailure;

    /// <summary>The carrier with the fewest streams of those that take more.</summary>
    private Multiplexer? Best(out int usable)
    {
        Multiplexer? best = null;
        usable = 0;
        foreach (var carrier in _carriers.Keys)
        {
            if (!carrier.TakesStreams)
            {
                continue;
            }

            usable++;
            if (best is null || carrier.StreamCount < best.StreamCount)
            {
                best = carrier;
            }
        }

        return best;
    }

    private async Task<Multiplexer?> DialAsync()
    {
        // Leaves the lock of whoever asks first.
        await Task.Yield();
        try
        {
            var stream = await _dialer.TryDialAsync(
                _hostname, token => new AccessHostname(token.ClientId, token.ClientSecret, _hostname.IdnHost, TunnelProtocol.Features), _closed.Token);
            return stream is null ? null : await AddAsync(stream);
        }
        catch
        {
            Volatile.Write(ref _failedAt, Math.Max(1, _options.Time.GetTimestamp()));
            throw;
        }
        finally
        {
            lock (_gate)
            {
                _dialing = null;
            }
        }
    }

    private async ValueTask<Multiplexer> AddAsync(DuplexStream stream)
    {
        var carrier = new Multiplexer(stream, _options.Time);
        lock (_gate)
        {
            if (!_closed.IsCancellationRequested)
            {
                _carriers.Add(carrier, CarryAsync(carrier));
                return carrier;
            }
        }

        await stream.DisposeAsync();
        throw new OperationCanceledException(_closed.Token);
    }

    private async Task CarryAsync(Multiplexer carrier)
    {
        await Task.Yield();
        await using var cut = _closed.Token.Register(
            () => carrier.Abort(new StreamAbort(AbortCode.Shutdown, "the application's side is shutting down")));
        try
        {
            await carrier.RunAsync();
        }
        catch (IOException)
        {
            // Its streams have the reason, and whoever needs another stream gets another carrier.
        }
        finally
        {
            lock (_gate)
            {
                _carriers.Remove(carrier);
            }
        }
    }

    private void CloseIdle()
    {
        Multiplexer[] idle;
        lock (_gate)
        {
            if (_options.Time.GetElapsedTime(_lastUse) < IdleTimeout)
            {
                return;
            }

            idle = [.. _carriers.Keys.Where(static carrier => carrier.StreamCount == 0)];
        }

        Array.ForEach(idle, Retire);
    }
}
