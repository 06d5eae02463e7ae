using Shared.Streams;
using Shared.Streams.Dialing;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using TunnelIngress.Connectors;

namespace TunnelIngress.Streams;

/// <summary>
/// Opens a stream to a service: picks a replica, takes one of its data channels, asks it to open and waits for the target.
/// A replica or channel that fails before the target was asked for is no failure yet: the next one is tried. Safe for concurrent use.
/// </summary>
internal sealed class StreamBroker(ConnectorRegistry registry, TimeProvider time)
{
    private const int MaxLostChannels = 4;

    /// <summary>Opens the stream.</summary>
    /// <param name="tunnel">The service's tunnel.</param>
    /// <param name="service">The service's name.</param>
    /// <param name="streamId">The new stream's id.</param>
    /// <param name="early">What the application says while it waits; null when it is not to be listened to yet.</param>
    /// <param name="timeout">The limit for all attempts together.</param>
    /// <param name="cancellationToken">The application has left.</param>
    /// <exception cref="DialException">Hop connector (none online, or none answers) or target.</exception>
    public async Task<ServiceStream> OpenAsync(
        string tunnel, string service, string streamId, EarlyData? early, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(timeout, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        var failed = new HashSet<ConnectorSession>();
        for (var lost = 0; lost < MaxLostChannels; lost++)
        {
            var session = registry.Pick(tunnel, service, failed) ?? throw NoConnector(tunnel, service);
            var load = session.Enter();
            try
            {
                if (await TryOpenAsync(session, service, streamId, early, limit.Token) is { } opened)
                {
                    return new ServiceStream(opened.Stream, opened.Channel, session, load);
                }
            }
            catch (DialException exception) when (exception.Hop == Hop.Connector && early is not { MayRepeat: false })
            {
                failed.Add(session);
            }
            catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
            {
                load.Dispose();
                throw new DialException(
                    Hop.Connector, "timeout", $"Connector {session.Connector} of tunnel {tunnel} did not open the stream within {timeout.TotalSeconds:0.#} s.", exception);
            }
            catch
            {
                load.Dispose();
                throw;
            }

            load.Dispose();
        }

        throw new DialException(Hop.Connector, "channels-lost", $"The data channels of tunnel {tunnel} broke before the stream began. Is the connector's network sound?");
    }

    /// <summary>Null when the channel was lost before its connector answered.</summary>
    private static async Task<(DuplexStream Stream, IServiceChannel Channel)?> TryOpenAsync(
        ConnectorSession session, string service, string streamId, EarlyData? early, CancellationToken cancellationToken)
    {
        var channel = await session.TakeAsync(cancellationToken);
        try
        {
            switch (await channel.AskAsync(new Open(streamId, service), early, cancellationToken))
            {
                case Opened:
                    return (channel.ToStream(), channel);
                case Refused refused:
                    throw TargetRefusal.ToFailure(refused);
                case null:
                    break;
                case var other:
                    throw new ProtocolException($"{other.GetType().Name} in answer to open");
            }
        }
        catch (ProtocolException exception)
        {
            channel.Release();
            throw new DialException(Hop.Connector, "protocol-error", $"Connector {session.Connector} broke the protocol: {exception.Message}.", exception);
        }
        catch (DialException)
        {
            channel.Release();
            throw;
        }
        catch (IOException exception) when (early is { MayRepeat: false } && exception is not StreamNotTakenException)
        {
            channel.Release();
            throw new DialException(
                Hop.Connector, "lost", $"The connection to connector {session.Connector} broke while the stream was opened; whether its target has seen the first bytes is not known.", exception);
        }
        catch (IOException)
        {
            // The channel was dead before it was used; another one may live.
        }
        catch
        {
            channel.Release();
            throw;
        }

        channel.Release();
        return null;
    }

    private static DialException NoConnector(string tunnel, string service) => new(
        Hop.Connector, "offline", $"No connector that serves {service} is online for tunnel {tunnel}. Start 'tunnel-connector run' beside the target, or read its log.");
}
