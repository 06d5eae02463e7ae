using System.Net.Security;
using Shared.Streams.Memory;
using Shared.Streams.Sockets;
using Shared.Streams.Tls;

namespace Shared.Streams.Tests.Conformance;

public sealed class TlsOverTcpConformance : DuplexStreamConformance
{
    protected override bool CarriesAbortReason => false;

    protected override async Task<StreamPair> ConnectAsync() => await Tls.OverAsync(await Sockets.ConnectAsync(ListenAddress.Parse("127.0.0.1:0")));
}

public sealed class TlsOverMemoryConformance : DuplexStreamConformance
{
    protected override Task<StreamPair> ConnectAsync()
    {
        var (left, right) = MemoryDuplexStream.CreatePair();
        return Tls.OverAsync(new StreamPair(left, right));
    }
}

internal static class Tls
{
    /// <summary>A TLS session over a pair, the right end being the server.</summary>
    public static async Task<StreamPair> OverAsync(StreamPair inner)
    {
        var cancelled = TestContext.Current.CancellationToken;
        var server = TlsStream.AcceptAsync(
            inner.Right, new SslServerAuthenticationOptions { ServerCertificate = TestCertificate.Localhost }, cancelled);
        var client = TlsStream.ConnectAsync(inner.Left, TestCertificate.Trust.ClientOptions("localhost"), cancelled);
        await Task.WhenAll(server, client).WaitAsync(TimeSpan.FromSeconds(30), cancelled);
        return new StreamPair(await client, await server, inner);
    }
}
