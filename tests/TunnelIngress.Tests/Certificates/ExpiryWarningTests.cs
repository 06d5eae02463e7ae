using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Time.Testing;
using TunnelIngress.Certificates;
using TunnelIngress.Tests.State;

namespace TunnelIngress.Tests.Certificates;

public sealed class ExpiryWarningTests : IDisposable
{
    private static readonly DateTimeOffset Start = new(2026, 5, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly TestCertificates _certificates = new();
    private readonly FakeTimeProvider _time = new(Start);
    private readonly RecordingLogger<FileCertificateSource> _log = new();
    private readonly ExpiryWarning _warning;

    public ExpiryWarningTests()
    {
        _warning = new ExpiryWarning("chain.pem", _time, _log);
    }

    private (int Soon, int Over) Told => (_log.Count("CertificateExpires"), _log.Count("CertificateExpired"));

    public void Dispose() => _certificates.Dispose();

    [Fact]
    public void Two_weeks_before_its_end_it_is_told_once_a_day_and_after_it_as_an_error()
    {
        using var certificate = Issue(lives: 90, left: 15);
        Watch(certificate, days: 1);
        Assert.Equal((0, 0), Told);

        Watch(certificate, days: 3);
        Assert.Equal((3, 0), Told);
        Assert.Contains("2026-05-16 12:00 UTC, in 13 days", _log.Entries.First().Message, StringComparison.Ordinal);

        Watch(certificate, days: 11);
        Assert.Equal((14, 0), Told);

        Watch(certificate, days: 3);
        Assert.Equal((14, 3), Told);
        Assert.Contains("expired on 2026-05-16 12:00 UTC", _log.Entries.Last().Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Short_life_has_only_its_last_third_told()
    {
        using var certificate = Issue(lives: 6, left: 6);
        Watch(certificate, days: 4);
        Assert.Equal((0, 0), Told);

        Watch(certificate, days: 1);
        Assert.Equal((1, 0), Told);
    }

    [Fact]
    public void Next_certificate_is_told_of_by_itself()
    {
        using var first = Issue(lives: 90, left: 10);
        using var second = Issue(lives: 90, left: 11);

        _warning.Look(first);
        _warning.Look(second);

        Assert.Equal((2, 0), Told);
    }

    /// <summary>Looks each hour.</summary>
    private void Watch(X509Certificate2 certificate, int days)
    {
        for (var hour = 0; hour < days * 24; hour++)
        {
            _time.Advance(TimeSpan.FromHours(1));
            _warning.Look(certificate);
        }
    }

    private X509Certificate2 Issue(int lives, int left) =>
        _certificates.Issue(string.Create(CultureInfo.InvariantCulture, $"a{lives}.example.com"), Start.AddDays(left), Start.AddDays(left - lives));
}
