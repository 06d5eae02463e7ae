namespace Shared.Streams.Dialing;

/// <summary>Dials one host and port over TCP. Safe for concurrent use.</summary>
/// <param name="host">A name or address.</param>
/// <param name="port">The port.</param>
/// <param name="timeout">The limit of one attempt, name resolution included.</param>
/// <param name="time">The clock of that limit.</param>
public sealed class TcpDialer(string host, int port, TimeSpan timeout, TimeProvider time) : IDialer
{
    /// <inheritdoc/>
    public async ValueTask<DuplexStream> DialAsync(CancellationToken cancellationToken) =>
        await TcpConnector.ConnectAsync(host, port, timeout, time, cancellationToken);

    /// <inheritdoc/>
    public override string ToString() => $"tcp://{(host.Contains(':') ? $"[{host}]" : host)}:{port}";
}
