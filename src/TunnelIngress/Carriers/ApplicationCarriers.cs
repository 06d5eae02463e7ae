using System.Collections.Concurrent;
using System.Net;
using Shared.Streams;
using Shared.Streams.Dialing;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using TunnelIngress.Access;
using TunnelIngress.Applications;
using TunnelIngress.Configuration;
using TunnelIngress.Metrics;
using TunnelIngress.State;
using TunnelIngress.Streams;

namespace TunnelIngress.Carriers;

/// <summary>
/// Applications' carriers, whose streams all go to one tunnel hostname: hostname → service token → scope, once for the carrier and again
/// for each stream, because much may have been withdrawn meanwhile. Safe for concurrent use.
/// Previous stop of a byte: an application's forwarder or pooler. Next stop: <see cref="StreamService"/>.
/// </summary>
internal sealed class ApplicationCarriers
{
    /// <summary>An application that is told to end its carrier and has no stream on it any more has done so by then.</summary>
    private static readonly TimeSpan DrainTimeout = TimeSpan.FromSeconds(5);

    private readonly AccessCheck _access;
    private readonly StateWatcher _state;
    private readonly StreamService _streams;
    private readonly StreamGate _gate;
    private readonly LimitOptions _limits;
    private readonly TimeProvider _time;
    private readonly ILogger<ApplicationCarriers> _logger;
    private readonly ConcurrentDictionary<ApplicationCarrier, byte> _carriers = new();
    private readonly ConcurrentDictionary<string, WindowBudget> _windows = new(StringComparer.Ordinal);

    public ApplicationCarriers(
        AccessCheck access, StateWatcher state, StreamService streams, StreamGate gate, LimitOptions limits, IngressMetrics metrics, TimeProvider time,
        ILogger<ApplicationCarriers> logger)
    {
        (_access, _state, _streams, _gate, _limits, _time, _logger) = (access, state, streams, gate, limits, time, logger);
        metrics.ObserveApplicationCarriers(() => _carriers.Count);
    }

    /// <summary>Checks the hostname and the token of a carrier.</summary>
    public Admission Admit(DuplexStream stream, AccessHostname hello, IPEndPoint? remote)
    {
        if (_gate.IsDraining)
        {
            return Refuse("draining", "The ingress is shutting down; try again, another one will answer.");
        }

        switch (_state.Current.FindByHostname(hello.Hostname))
        {
            case null:
                return Refuse("unknown-hostname", "No service has this hostname.");
            case { Web: not null }:
                // What its target gets of a request is ours to write.
                return Refuse("speaks-http", "This hostname is an HTTP service; send it requests instead of bytes.");
            default:
                break;
        }

        var carrier = new ApplicationCarrier(hello, remote);
        var service = FindService(carrier, out var token, out var reason);
        NoteUse(carrier, token, _time.GetUtcNow());
        if (service is null)
        {
            return Admission.Denied(_access.CountRefusal(
                remote?.Address, carrier.From, carrier.ClientId, carrier.Hostname, TunnelProtocol.CarrierApplicationProtocol, reason));
        }

        // From here on it counts: the answer may take its time to get through.
        _carriers.TryAdd(carrier, 0);
        if (_carriers.Keys.Count(other => other.ClientId == carrier.ClientId) <= _limits.MaxCarriersPerToken)
        {
            return new Admission(() => RunAsync(carrier, stream), null, GiveUp: () => _carriers.TryRemove(carrier, out _), carrier.ClientId);
        }

        _carriers.TryRemove(carrier, out _);
        return Refuse("limited", $"This token has its limit of {_limits.MaxCarriersPerToken} carriers.");

        static Admission Refuse(string code, string message) => new(null, new JoinRefused(code, message));
    }

    /// <summary>Opens nothing more; each carrier ends after its last stream.</summary>
    public void Drain()
    {
        foreach (var carrier in _carriers.Keys)
        {
            carrier.Multiplexer?.Drain();
        }
    }

    /// <summary>Ends the carriers whose token may not be used any more, or whose hostname is gone; their streams are cut by others.</summary>
    public void EndWithdrawn()
    {
        foreach (var carrier in _carriers.Keys)
        {
            if (FindService(carrier, out _, out _) is null && carrier.Multiplexer is { } multiplexer)
            {
                multiplexer.Drain();
                carrier.WithdrawnAt ??= _time.GetTimestamp();
                if (multiplexer.StreamCount == 0 && _time.GetElapsedTime(carrier.WithdrawnAt.Value) > DrainTimeout)
                {
                    multiplexer.Abort(new StreamAbort(AbortCode.Revoked, "access was withdrawn"));
                }
            }
        }
    }

    /// <summary>Notes that the applications whose carriers are open still use their tokens, streams or not.</summary>
    public void NoteUses(DateTimeOffset now)
    {
        foreach (var carrier in _carriers.Keys)
        {
            NoteUse(carrier, _access.Find(carrier.ClientId, carrier.SecretHash, out _), now);
        }
    }

    /// <summary>The service that a carrier's streams go to, or null and why it gets none.</summary>
    private Service? FindService(ApplicationCarrier carrier, out AcceptedToken? token, out string reason)
    {
        var service = _state.Current.FindByHostname(carrier.Hostname);
        token = _access.Find(carrier.ClientId, carrier.SecretHash, out var denial);
        reason = (service, token) switch
        {
            (null, _) => "no such hostname",
            (_, null) => denial.ToString(),
            ({ Web: not null }, _) => $"service {service.Name} speaks HTTP",
            _ => $"the token's scope does not name service {service.Name}",
        };
        return service is { Web: null } && token?.Scope.MayAccess(service.Name) == true ? service : null;
    }

    private void NoteUse(ApplicationCarrier carrier, AcceptedToken? token, DateTimeOffset now)
    {
        if (token is { } accepted)
        {
            _access.NoteUse(accepted, carrier.Address, now);
        }
    }

    private async Task RunAsync(ApplicationCarrier carrier, DuplexStream stream)
    {
        // However many carriers a token has, their streams share one budget.
        var windows = _windows.GetOrAdd(carrier.ClientId, static _ => new WindowBudget());
        carrier.Multiplexer = new Multiplexer(stream, _time, incoming => _ = ServeAsync(carrier, incoming), windows) { PeerKnowsLeaving = carrier.KnowsLeaving };
        Interlocked.MemoryBarrier();
        if (_gate.IsDraining)
        {
            // Whoever drained all of them met this one without a multiplexer.
            carrier.Multiplexer.Drain();
        }

        try
        {
            await carrier.Multiplexer.RunAsync();
        }
        catch (IOException exception)
        {
            _logger.ApplicationCarrierLost(carrier.Hostname, carrier.From, exception.Message);
        }
        finally
        {
            _carriers.TryRemove(carrier, out _);
        }
    }

    private async Task ServeAsync(ApplicationCarrier carrier, IncomingStream incoming)
    {
        try
        {
            var early = new EarlyData(incoming.Stream);

            // Not disposed of: it holds nothing, and the application may leave at any time.
            var left = new CancellationTokenSource();
            incoming.OnAborted(static state => ((CancellationTokenSource)state).Cancel(), left);
            OpenedStream opened;
            try
            {
                var (service, token) = Admitted(carrier, incoming);
                opened = await _streams.OpenAsync(
                    service, new StreamCaller(carrier.ClientId, carrier.From, token.SecretVersion), early, left.Token);
            }
            catch (OperationCanceledException) when (left.IsCancellationRequested)
            {
                return;
            }
            catch (DialException exception)
            {
                incoming.Refuse(new Refused(exception.Code, exception.Message, exception.Hop.ToWire()));
                return;
            }

            incoming.Accept(opened.Info.Id);
            await _streams.RelayAsync(opened, early.Rest());
        }
        catch (Exception exception)
        {
            // One stream's fault must neither end the others nor go unseen.
            incoming.Stream.Abort(new StreamAbort(AbortCode.Dropped, "internal error"));
            _logger.AcceptFailed(exception, carrier.Hostname);
        }
    }

    /// <exception cref="DialException">Access has been withdrawn since the carrier was opened.</exception>
    private (Service Service, AcceptedToken Token) Admitted(ApplicationCarrier carrier, IncomingStream incoming)
    {
        if (!string.Equals(incoming.Open.Service, carrier.Hostname, StringComparison.OrdinalIgnoreCase))
        {
            throw new DialException(Hop.Ingress, "unknown-hostname", "This carrier was opened for another hostname.");
        }

        var service = FindService(carrier, out var token, out _);
        NoteUse(carrier, token, _time.GetUtcNow());
        return service is not null && token is { } accepted
            ? (service, accepted)
            : throw new DialException(Hop.Ingress, "token-refused", "The service token is not accepted here any more: it has expired, or was revoked or rotated.");
    }
}
