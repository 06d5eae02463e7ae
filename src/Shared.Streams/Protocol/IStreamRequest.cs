namespace Shared.Streams.Protocol;

/// <summary>A stream that a peer asks for, over whatever transport. It is accepted or refused, once.</summary>
public interface IStreamRequest
{
    /// <summary>What is asked for.</summary>
    Open Open { get; }

    /// <summary>Says that the target is connected; from here on there is a stream, which the caller owns.</summary>
    /// <exception cref="IOException">The peer is gone.</exception>
    ValueTask<DuplexStream> AcceptAsync(CancellationToken cancellationToken);

    /// <summary>Says that it could not be reached.</summary>
    /// <exception cref="IOException">The peer is gone.</exception>
    ValueTask RefuseAsync(Refused refused, CancellationToken cancellationToken);

    /// <summary>Gives it up without an answer.</summary>
    void Abort(StreamAbort reason);
}
