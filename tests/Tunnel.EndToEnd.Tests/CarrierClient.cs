using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using Shared.Streams.Sockets;
using Shared.Streams.Tls;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Meets an ingress as a carrier's other end does, without a program of ours.</summary>
internal static class CarrierClient
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static async Task<TlsStream> DialAsync(TunnelCluster cluster)
    {
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            ApplicationProtocols = [new SslApplicationProtocol(TunnelProtocol.CarrierApplicationProtocol)],
            CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck },
        };
        options.CertificateChainPolicy.CustomTrustStore.ImportFromPemFile(cluster.CaFile);
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, cluster.Port, Cancelled);
        var carrier = await TlsStream.ConnectAsync(SocketStream.Over(socket), options, Cancelled);
        Assert.Equal(options.ApplicationProtocols[0], carrier.Session.NegotiatedApplicationProtocol);
        return carrier;
    }

    /// <summary>Sends the first message and receives the answer.</summary>
    public static async Task<CarrierMessage> AskAsync(TlsStream carrier, CarrierMessage hello)
    {
        await CarrierHandshake.SendAsync(carrier, hello, Cancelled);
        return await CarrierHandshake.ReceiveAsync(carrier, Cancelled);
    }

    public static async Task<(string Id, string Secret)> ReadTokenAsync(string file)
    {
        using var token = JsonDocument.Parse(await File.ReadAllTextAsync(file, Cancelled));
        return (token.RootElement.GetProperty("clientId").GetString()!, token.RootElement.GetProperty("clientSecret").GetString()!);
    }
}
