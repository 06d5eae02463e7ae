using System.Net.Security;
using Shared.Streams;

namespace TunnelIngress.Web;

/// <summary>A connection to an HTTP/1.1 origin in clear, which listens for an answer while it sends.</summary>
internal sealed class PlainOriginStream : AdaptedStream, IConnectionBytes
{
    private readonly AnswerWatch _watch;

    public PlainOriginStream(DuplexStream inner, TimeProvider time)
        : base(inner, leaveOpen: false, time)
    {
        _watch = new AnswerWatch(this);
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => _watch.ReadAsync(buffer, cancellationToken);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => _watch.WriteAsync(buffer, cancellationToken);

    public ValueTask<int> ReadBytesAsync(Memory<byte> buffer, CancellationToken cancellationToken) => base.ReadAsync(buffer, cancellationToken);

    public ValueTask WriteBytesAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken) => base.WriteAsync(buffer, cancellationToken);
}

/// <summary>The same over TLS. Where HTTP/2 was agreed on it does nothing: that one hears an answer by itself.</summary>
internal sealed class TlsOriginStream : SslStream, IConnectionBytes
{
    private readonly AnswerWatch _watch;

    public TlsOriginStream(DuplexStream inner, TimeProvider time)
        : base(new AdaptedStream(inner, leaveOpen: false, time))
    {
        _watch = new AnswerWatch(this);
    }

    /// <summary>Shakes hands as a client, without holding up the other streams of the thread that hears of this one.</summary>
    public async Task ShakeHandsAsync(SslClientAuthenticationOptions options, CancellationToken cancellationToken)
    {
        var bytes = (AdaptedStream)InnerStream;
        bytes.StepsAside = true;
        await Task.Yield();
        await AuthenticateAsClientAsync(options, cancellationToken);
        bytes.StepsAside = false;
    }

    private bool IsHttp2 => NegotiatedApplicationProtocol == SslApplicationProtocol.Http2;

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        IsHttp2 ? base.ReadAsync(buffer, cancellationToken) : _watch.ReadAsync(buffer, cancellationToken);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        IsHttp2 ? base.WriteAsync(buffer, cancellationToken) : _watch.WriteAsync(buffer, cancellationToken);

    public ValueTask<int> ReadBytesAsync(Memory<byte> buffer, CancellationToken cancellationToken) => base.ReadAsync(buffer, cancellationToken);

    public ValueTask WriteBytesAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken) => base.WriteAsync(buffer, cancellationToken);
}
