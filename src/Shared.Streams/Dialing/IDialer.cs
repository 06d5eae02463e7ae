namespace Shared.Streams.Dialing;

/// <summary>Opens streams to one fixed place. Safe for concurrent use.</summary>
public interface IDialer
{
    /// <summary>Opens a new stream.</summary>
    /// <param name="cancellationToken">Ends the attempt; the dialer also has a time limit of its own.</param>
    /// <exception cref="DialException">The place could not be reached; the exception names the hop.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    ValueTask<DuplexStream> DialAsync(CancellationToken cancellationToken);
}
