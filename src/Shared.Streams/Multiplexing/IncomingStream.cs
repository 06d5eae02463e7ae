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

    /// <summary>What the peer has sent after its request can be read before the answer.</summary>
    public MultiplexedStream Stream => stream;

    /// <summary>Calls back when the peer aborts the stream, within the carrier's receiving loop: what is called must not block.</summary>
    public void OnAborted(Action<object> callback, object state) => _ = stream.Answer.ContinueWith(
        (_, given) => callback(given!), state, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

    /// <summary>Says that the target is connected, and how the stream is called.</summary>
    public void Accept(string id) => multiplexer.Send(stream.Id, ProtocolCodec.Encode(new Opened(id)));

    /// <summary>Says that there will be no stream.</summary>
    public void Refuse(Refused refused)
    {
        multiplexer.Send(stream.Id, ProtocolCodec.Encode(refused));
        stream.OnLost(new StreamAbort(AbortCode.Reset, "refused"), null);
    }

    /// <inheritdoc/>
    public ValueTask<DuplexStream> AcceptAsync(CancellationToken cancellationToken)
    {
        multiplexer.Send(stream.Id, ProtocolCodec.OpenedBytes.Span);
        return ValueTask.FromResult<DuplexStream>(stream);
    }

    /// <inheritdoc/>
    public ValueTask RefuseAsync(Refused refused, CancellationToken cancellationToken)
    {
        Refuse(refused);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public void Abort(StreamAbort reason) => stream.Abort(reason);
}
