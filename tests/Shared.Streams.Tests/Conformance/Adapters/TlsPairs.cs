using Shared.Streams.Tls;

namespace Shared.Streams.Tests.Conformance.Adapters;

internal static class TlsPairs
{
    public static async Task<StreamPair> OverAsync(Func<Task<StreamPair>> createInner)
    {
        var inner = await createInner();
        var accepting = TlsStream.AcceptAsync(inner.Far, TestCertificate.ServerOptions(), CancellationToken.None);
        var client = await TlsStream.ConnectAsync(inner.Near, TestCertificate.ClientOptions(), CancellationToken.None);
        return new StreamPair(client, await accepting, async () => await inner.DisposeAsync());
    }
}
