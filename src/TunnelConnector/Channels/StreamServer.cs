using Microsoft.Extensions.Logging;
using Shared.Streams;
using Shared.Streams.Dialing;
using Shared.Streams.Protocol;
using Shared.Streams.Relaying;
using TunnelConnector.Configuration;
using TunnelConnector.Metrics;

namespace TunnelConnector.Channels;

/// <summary>
/// Serves one stream that the ingress asked for: dials the target that this connector's own configuration names, answers, relays.
/// Previous stop of a byte: the ingress's relay. Next stop: the target. Safe for concurrent use.
/// </summary>
internal sealed class StreamServer(CurrentSettings settings, ConnectorMetrics metrics, TimeProvider time, ILogger<StreamServer> logger)
{
    /// <summary>Serves the stream to its end. Whatever happens to it is answered or logged, and concerns no other stream of the session.</summary>
    /// <param name="request">The stream that is asked for.</param>
    /// <param name="tunnel">Its tunnel.</param>
    /// <param name="streams">The session's streams.</param>
    /// <param name="cancellationToken">The session is over.</param>
    public async Task ServeAsync(IStreamRequest request, string tunnel, StreamSet<string> streams, CancellationToken cancellationToken)
    {
        var stream = new StreamName(ProtocolCodec.OneLine(request.Open.Stream), tunnel, ProtocolCodec.OneLine(request.Open.Service));
        try
        {
            await ServeAsync(request, stream, streams, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The session is over, and its channels with it.
        }
        catch (IOException exception)
        {
            logger.StreamAbandoned(stream.Id, exception.Message);
        }
        catch (Exception exception)
        {
            logger.StreamFault(exception, stream.Id, tunnel, stream.Service);
            request.Abort(new StreamAbort(AbortCode.Dropped, "internal error"));
        }
    }

    private async Task ServeAsync(IStreamRequest request, StreamName stream, StreamSet<string> streams, CancellationToken cancellationToken)
    {
        DuplexStream target;
        try
        {
            target = await DialAsync(request.Open.Service, cancellationToken);
        }
        catch (DialException exception)
        {
            CountFailure(stream, isConfigured: settings.Value.Targets.ContainsKey(request.Open.Service), exception);
            logger.StreamRefused(stream.Id, stream.Tunnel, stream.Service, Hop.Target.ToWire(), exception.Code, exception.Message);
            await request.RefuseAsync(new Refused(exception.Code, WithoutAddress(stream.Service, exception)), cancellationToken);
            return;
        }

        DuplexStream application;
        try
        {
            application = await request.AcceptAsync(cancellationToken);
        }
        catch
        {
            target.Abort(new StreamAbort(AbortCode.ConnectionLost, "the application left while the target was dialled"));
            await target.DisposeAsync();
            throw;
        }

        await RelayAsync(application, target, stream, streams);
    }

    private void CountFailure(StreamName stream, bool isConfigured, DialException failure)
    {
        if (isConfigured)
        {
            metrics.DialFailed(stream.Service, failure);
        }
        else
        {
            metrics.UnconfiguredAsked(failure);
        }
    }

    private ValueTask<DuplexStream> DialAsync(string service, CancellationToken cancellationToken) =>
        settings.Value.Targets.TryGetValue(service, out var dialer)
            ? dialer.DialAsync(cancellationToken)
            : throw new DialException(Hop.Target, "not-configured", "This connector's configuration has no such service.");

    private async Task RelayAsync(DuplexStream application, DuplexStream target, StreamName stream, StreamSet<string> streams)
    {
        var start = time.GetTimestamp();
        using var entry = streams.Add(stream.Id, application, target);
        metrics.StreamOpened(stream.Service);
        logger.StreamOpened(stream.Id, stream.Tunnel, stream.Service);
        var options = new RelayOptions { HalfCloseTimeout = settings.Value.HalfCloseTimeout };
        var result = await Relay.RunAsync(application, target, options, time);
        logger.StreamEnded(
            stream.Id, stream.Tunnel, stream.Service, result.End.ToString(), result.EndedBy?.ToString() ?? "Connector",
            result.Reason?.ToString() ?? "end of stream", result.BytesToTarget, result.BytesToApplication,
            (long)time.GetElapsedTime(start).TotalMilliseconds);
    }

    // The ingress and the application learn what went wrong, not where in the private network it did; our own log says that.
    private static string WithoutAddress(string service, DialException exception) => exception.Code switch
    {
        "connection-refused" => $"The target of service {service} refused the connection. Does it run, and is the connector's Target right? The connector's log names the address.",
        "not-resolved" => $"The host name of service {service}'s target does not resolve in the private network. Correct the connector's Target, or the DNS there.",
        "timeout" => $"The target of service {service} did not answer in time. Does a firewall drop it, or is the connector's Target wrong?",
        "certificate-not-trusted" => $"The certificate of service {service}'s target does not verify; the connector's log says why and what to do.",
        "not-configured" => $"The connector's configuration has no target for service {service}. Add it there under Services.",
        _ => $"The target of service {service} cannot be reached ({exception.Code}); the connector's log says more.",
    };

    private readonly record struct StreamName(string Id, string Tunnel, string Service);
}
