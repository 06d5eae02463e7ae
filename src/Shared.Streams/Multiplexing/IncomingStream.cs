using Shared.Streams.Protocol;

namespace Shared.Streams.Multiplexing;

/// <summary>A stream that the peer wants to open on a carrier. It is accepted or refused, once.</summary>
/// <param name="stream">What it becomes.</param>
/// <param name="multiplexer">Its carrier.</param>
/// <param name="open">What is asked for.</param>
public sealed class IncomingStream(MultiplexedStream stream, Multiplexer multiplexer, Open open) : IStreamRequest
{
    /// <inheritdoc/>
    public Open Open => open;

    /// <inheritdoc/>
    public ValueTask<DuplexStream> AcceptAsync(CancellationToken cancellationToken)
    {
        multiplexer.Send(stream.Id, ProtocolCodec.OpenedBytes.Span);
        return ValueTask.FromResult<DuplexStream>(stream);
    }

    /// <inheritdoc/>
    public ValueTask RefuseAsync(Refused refused, CancellationToken cancellationToken)
    {
        multiplexer.Send(stream.Id, ProtocolCodec.Encode(refused));
        stream.OnLost(new StreamAbort(AbortCode.Reset, "refused"), null);
        return ValueTask.CompletedTask;
    }
}
