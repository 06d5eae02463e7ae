using System.Globalization;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Shared.Streams.Protocol;

namespace Shared.Streams.Tls;

/// <summary>
/// The peer's certificate does not verify. Thrown by whoever verifies it, so that the handshake fails with what was found and not with the
/// runtime's summary. The message goes on where "The certificate does not verify:" ends, with a full stop.
/// </summary>
public sealed class CertificateRejectedException : AuthenticationException
{
    private const int MostNames = 5;
    private const X509ChainStatusFlags UnknownIssuer = X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.UntrustedRoot;

    private CertificateRejectedException(IReadOnlyList<string> findings)
        : base($"{string.Join("; ", findings)}.")
    {
    }

    /// <summary>True when it has expired, or one that it depends on, or is not valid yet.</summary>
    public bool IsOutOfDate { get; private init; }

    /// <summary>True when it is another name's.</summary>
    public bool IsMisnamed { get; private init; }

    /// <summary>True when no trusted CA has signed it.</summary>
    public bool IsOfUnknownIssuer { get; private init; }

    /// <summary>Says what is wrong with a certificate.</summary>
    /// <param name="certificate">What the peer has shown.</param>
    /// <param name="chain">How it was verified.</param>
    /// <param name="errors">What was found, as far as it matters; at least one.</param>
    public static CertificateRejectedException From(X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (certificate is not X509Certificate2 shown)
        {
            return new(["there is none"]);
        }

        var status = errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors) ? chain?.ChainStatus ?? [] : [];
        var findings = new List<string>();
        var outOfDate = status.Any(static found => found.Status == X509ChainStatusFlags.NotTimeValid);
        if (outOfDate)
        {
            findings.Add(Dates(shown, chain!));
        }

        var misnamed = errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch);
        if (misnamed)
        {
            findings.Add(Names(shown));
        }

        var unknown = status.Any(static found => (found.Status & UnknownIssuer) != 0);
        if (unknown)
        {
            findings.Add($"no trusted CA has signed it, but {ProtocolCodec.OneLine(shown.Issuer)}");
        }

        if (findings.Count == 0)
        {
            findings.Add($"its chain is not valid ({string.Join(", ", status.Select(static found => found.Status))})");
        }

        return new(findings) { IsOutOfDate = outOfDate, IsMisnamed = misnamed, IsOfUnknownIssuer = unknown };
    }

    /// <summary>The one behind what a handshake has thrown; null when it failed for another reason.</summary>
    public static CertificateRejectedException? Behind(Exception? exception)
    {
        while (exception is not (null or CertificateRejectedException))
        {
            exception = exception.InnerException;
        }

        return (CertificateRejectedException?)exception;
    }

    // The first that is to blame, from the peer's own to the root.
    private static string Dates(X509Certificate2 shown, X509Chain chain)
    {
        var blamed = chain.ChainElements
            .FirstOrDefault(static element => element.ChainElementStatus.Any(static found => found.Status == X509ChainStatusFlags.NotTimeValid))?.Certificate ?? shown;
        var whose = blamed.Equals(shown) ? "it" : $"the certificate of {ProtocolCodec.OneLine(blamed.Subject)} in its chain";
        return blamed.NotAfter < chain.ChainPolicy.VerificationTime
            ? $"{whose} expired at {Time(blamed.NotAfter)}"
            : $"{whose} is not valid before {Time(blamed.NotBefore)}";
    }

    private static string Time(DateTime local) => local.ToUniversalTime().ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);

    private static string Names(X509Certificate2 shown)
    {
        var names = AlternativeNames(shown);
        return names.Length switch
        {
            0 => "it carries no name",
            <= MostNames => $"it is for {string.Join(", ", names)} only",
            _ => $"it is for {string.Join(", ", names[..MostNames])} and {names.Length - MostNames} others only",
        };
    }

    private static string[] AlternativeNames(X509Certificate2 shown)
    {
        try
        {
            return [.. shown.Extensions.OfType<X509SubjectAlternativeNameExtension>()
                .SelectMany(static names => names.EnumerateDnsNames().Concat(names.EnumerateIPAddresses().Select(static address => address.ToString())))
                .Select(ProtocolCodec.OneLine)];
        }
        catch (CryptographicException)
        {
            // The peer has made it, so it may hold anything.
            return [];
        }
    }
}
