using Shared.Streams;
using Shared.Streams.Protocol;

namespace TunnelIngress.Connectors;

/// <summary>A way to one new stream at a connector: a parked channel of its own, or a place on a carrier. One caller at a time.</summary>
internal interface IServiceChannel
{
    /// <summary>Asks the connector to open a stream.</summary>
    /// <param name="open">What is asked for.</param>
    /// <param name="early">What the application says meanwhile; passed on where the channel can.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Its answer; null when it closed the channel instead.</returns>
    /// <exception cref="IOException">The channel is lost.</exception>
    Task<ChannelMessage?> AskAsync(Open open, EarlyData? early, CancellationToken cancellationToken);

    /// <summary>The stream, once the answer was <see cref="Opened"/>; the caller owns it.</summary>
    DuplexStream ToStream();

    /// <summary>Nobody uses the channel any more.</summary>
    void Release();
}
