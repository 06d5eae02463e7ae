using Shared.Streams;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;

namespace TunnelIngress.Connectors;

/// <summary>A place on a carrier for one new stream.</summary>
internal sealed class CarrierChannel(Multiplexer carrier) : IServiceChannel
{
    private MultiplexedStream? _stream;
    private bool _becameStream;

    /// <inheritdoc/>
    public async Task<ChannelMessage?> AskAsync(Open open, EarlyData? early, CancellationToken cancellationToken)
    {
        (_stream, var answer) = await carrier.OpenAsync(open, early, cancellationToken);
        return answer;
    }

    /// <inheritdoc/>
    public DuplexStream ToStream()
    {
        _becameStream = true;
        return _stream ?? throw new InvalidOperationException("Nothing was asked for.");
    }

    /// <inheritdoc/>
    public void Release()
    {
        if (!_becameStream)
        {
            _stream?.Abort(StreamAbort.Dropped);
        }
    }
}
