using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using TunnelIngress.Certificates;

namespace TunnelIngress.Tests.Certificates;

/// <summary>A CA, certificates of it, and real TLS handshakes against a source.</summary>
internal sealed class TestCertificates : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly X509Certificate2 _ca;

    public TestCertificates()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=Test CA", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        _ca = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddYears(-2), DateTimeOffset.UtcNow.AddYears(10));
    }

    public X509Certificate2 Issue(string hostname, DateTimeOffset? notAfter = null, DateTimeOffset? notBefore = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={hostname}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(hostname);
        request.CertificateExtensions.Add(names.Build());
        using var issued = request.Create(
            _ca, notBefore ?? DateTimeOffset.UtcNow.AddYears(-1), notAfter ?? DateTimeOffset.UtcNow.AddYears(1), RandomNumberGenerator.GetBytes(16));
        return issued.CopyWithPrivateKey(key);
    }

    /// <summary>What is sent to a CA, and is no certificate yet.</summary>
    public static string SigningRequest(string hostname)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new CertificateRequest($"CN={hostname}", key, HashAlgorithmName.SHA256).CreateSigningRequestPem() + "\n";
    }

    /// <summary>Chain and key as PEM texts.</summary>
    public (string Chain, string Key) Pem(string hostname, DateTimeOffset? notAfter = null, DateTimeOffset? notBefore = null)
    {
        using var certificate = Issue(hostname, notAfter, notBefore);
        using var key = certificate.GetECDsaPrivateKey()!;
        return ($"{certificate.ExportCertificatePem()}\n{_ca.ExportCertificatePem()}\n", key.ExportPkcs8PrivateKeyPem() + "\n");
    }

    /// <summary>Does one handshake, with the client's full verification, and returns the name the server's certificate was issued for.</summary>
    public Task<string> HandshakeAsync(ICertificateSource source, string hostname) => HandshakeAsync(source, hostname, _ca);

    public static async Task<string> HandshakeAsync(ICertificateSource source, string hostname, X509Certificate2 root)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(Patience);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = ServeAsync(listener, source, patience.Token);
        using var socket = new TcpClient();
        await socket.ConnectAsync((IPEndPoint)listener.LocalEndpoint, patience.Token);
        await using var tls = new SslStream(socket.GetStream());
        try
        {
            await tls.AuthenticateAsClientAsync(
                new SslClientAuthenticationOptions
                {
                    TargetHost = hostname,
                    CertificateChainPolicy = new X509ChainPolicy
                    {
                        TrustMode = X509ChainTrustMode.CustomRootTrust,
                        CustomTrustStore = { root },
                        RevocationMode = X509RevocationMode.NoCheck,
                    },
                },
                patience.Token);
            return ((X509Certificate2)tls.RemoteCertificate!).GetNameInfo(X509NameType.DnsName, forIssuer: false);
        }
        finally
        {
            await tls.DisposeAsync();
            await serving;
        }
    }

    public void Dispose() => _ca.Dispose();

    private static async Task ServeAsync(TcpListener listener, ICertificateSource source, CancellationToken cancellationToken)
    {
        using var socket = await listener.AcceptTcpClientAsync(cancellationToken);
        await using var tls = new SslStream(socket.GetStream());
        try
        {
            await tls.AuthenticateAsServerAsync(
                (_, hello, _, _) => ValueTask.FromResult(new SslServerAuthenticationOptions { ServerCertificateContext = source.Select(hello.ServerName) }),
                null,
                cancellationToken);
            _ = await tls.ReadAsync(new byte[1], cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or AuthenticationException)
        {
            // The client did not like the certificate; it tells its own side why.
        }
    }
}
