using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>How HTTP clients reach a cluster's hostnames: on this host, whatever the name, at the port that the URL says; its CA is the only one they trust.</summary>
internal static class ClusterHttp
{
    public static SocketsHttpHandler Handler(TunnelCluster cluster) => new()
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        ConnectCallback = static async (context, cancellationToken) =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(IPAddress.Loopback, context.DnsEndPoint.Port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        },
        SslOptions = Tls(cluster),
    };

    public static SslClientAuthenticationOptions Tls(TunnelCluster cluster) => new()
    {
        CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            CustomTrustStore = { X509CertificateLoader.LoadCertificateFromFile(cluster.CaFile) },
        },
    };
}
