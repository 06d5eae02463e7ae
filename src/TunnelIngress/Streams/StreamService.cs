using Shared.Streams;
using Shared.Streams.Dialing;
using Shared.Streams.Relaying;
using TunnelIngress.Configuration;
using TunnelIngress.Connectors;
using TunnelIngress.Metrics;
using TunnelIngress.State;

namespace TunnelIngress.Streams;

/// <summary>
/// The one way of a stream through the ingress, whichever way in it came:
/// admit → open at a connector → relay → one line in the log. Safe for concurrent use.
/// </summary>
internal sealed class StreamService(
    StreamBroker broker, StreamGate gate, StreamSet<StreamInfo> streams, IngressSettings settings, IngressMetrics metrics, TimeProvider time,
    ILogger<StreamService> logger)
{
    /// <summary>Opens a stream; the caller then answers its application and calls <see cref="RelayAsync"/>, or disposes it.</summary>
    /// <param name="service">The service.</param>
    /// <param name="caller">Who asks.</param>
    /// <param name="early">What the application says while it waits; null when it is not to be listened to yet.</param>
    /// <param name="cancellationToken">The application left.</param>
    /// <exception cref="DialException">It is refused; logged and counted already.</exception>
    /// <exception cref="OperationCanceledException">The application left.</exception>
    public async Task<OpenedStream> OpenAsync(Service service, StreamCaller caller, EarlyData? early, CancellationToken cancellationToken)
    {
        var id = StreamIds.NewStream();
        var start = time.GetTimestamp();
        StreamGate.Admission? admission = null;
        try
        {
            admission = gate.Admit(caller.TokenId, mayDrain: caller.IsPool);
            var target = await broker.OpenAsync(service.Tunnel, service.Name, id, early, settings.OpenTimeout, cancellationToken);
            var opening = time.GetElapsedTime(start);
            metrics.StreamOpened(service.Name, opening);
            var info = new StreamInfo(id, service.Tunnel, service.Name, caller.TokenId, caller.From, target.Session) { SecretVersion = caller.SecretVersion };
            logger.StreamOpened(
                id, info.Tunnel, info.Service, info.TokenId ?? "none", info.From, info.Session.Connector, Math.Round(opening.TotalMilliseconds, 3));
            return new OpenedStream(info, target, admission, early?.Sent.Length ?? 0);
        }
        catch (DialException exception)
        {
            admission?.Dispose();
            metrics.StreamRefused(service.Name, exception);
            logger.StreamRefused(
                id, service.Tunnel, service.Name, caller.TokenId ?? "none", caller.From, exception.Hop.ToWire(), exception.Code, exception.Message);
            throw;
        }
        catch
        {
            admission?.Dispose();
            throw;
        }
    }

    /// <summary>Carries the bytes until the stream ends; takes over both ends.</summary>
    public async Task RelayAsync(OpenedStream opened, DuplexStream application)
    {
        var start = time.GetTimestamp();
        var info = opened.Info;
        RelayResult result;
        await using (opened)
        {
            using var entry = streams.Add(info, application, opened.Target.Stream);

            // The session may have begun to drain, or have closed, between the opening and the entry into the set.
            switch (info.Session.State)
            {
                case SessionState.Draining:
                    entry.TellLeaving();
                    break;
                case SessionState.Closed:
                    entry.Abort(new StreamAbort(AbortCode.ConnectionLost, "the connector's session ended"));
                    break;
            }

            result = await Relay.RunAsync(
                application, opened.Target.Stream, new RelayOptions { HalfCloseTimeout = settings.HalfCloseTimeout }, time);
        }

        Ended(info, result with { BytesToTarget = result.BytesToTarget + opened.EarlyBytes }, start);
    }

    /// <summary>Makes an opened stream one that this process itself reads and writes; the stream takes it over.</summary>
    public DuplexStream Attach(OpenedStream opened)
    {
        var start = time.GetTimestamp();
        var attached = new AttachedStream(opened, streams, (info, result) => Ended(info, result, start));
        if (opened.Info.Session.State == SessionState.Closed)
        {
            attached.Abort(new StreamAbort(AbortCode.ConnectionLost, "the connector's session ended"));
        }

        return attached;
    }

    private void Ended(StreamInfo info, RelayResult result, long start)
    {
        metrics.StreamEnded(info.Service, result);
        logger.StreamEnded(
            info.Id, info.Tunnel, info.Service, result.End.ToString(), result.EndedBy?.ToString() ?? "Ingress",
            result.Reason?.ToString() ?? "end of stream", result.BytesToTarget, result.BytesToApplication,
            (long)time.GetElapsedTime(start).TotalMilliseconds);
    }
}
