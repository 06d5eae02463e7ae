using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests.Web;

/// <summary>A real browser at a real web server, through the tunnel.</summary>
[Collection(WebCollection.Name)]
public sealed class BrowserTests(WebFixture fixture)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Chromium_loads_a_page_with_its_assets_over_HTTP2()
    {
        var root = fixture.Nginx.Root;
        await File.WriteAllTextAsync(
            Path.Combine(root, "index.html"),
            """
            <!doctype html><html><head><link rel="stylesheet" href="page.css"></head><body><p id="out">nothing</p><img id="image" src="image.svg"><script src="page.js"></script></body></html>
            """,
            Cancelled);
        await File.WriteAllTextAsync(Path.Combine(root, "page.css"), "#out { width: 321px; }", Cancelled);
        await File.WriteAllTextAsync(Path.Combine(root, "image.svg"), """<svg xmlns="http://www.w3.org/2000/svg" width="77" height="5"></svg>""", Cancelled);
        await File.WriteAllTextAsync(
            Path.Combine(root, "page.js"),
            """
            addEventListener('load', async () => {
              const seen = await (await fetch('/seen?fetched')).text();
              const page = performance.getEntriesByType('navigation')[0].nextHopProtocol;
              document.getElementById('out').textContent = `${getComputedStyle(out).width} ${image.naturalWidth} ${page} ${seen}`;
            });
            """,
            Cancelled);
        var profile = Directory.CreateTempSubdirectory("chromium-");
        await using var tls = await fixture.ConnectAsync(TunnelCluster.HostnameOf("page"));
        var pin = Convert.ToBase64String(SHA256.HashData(tls.RemoteCertificate is X509Certificate2 served ? served.PublicKey.ExportSubjectPublicKeyInfo() : []));

        var result = await CommandLine.RunAsync(
            "chromium",
            [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", $"--user-data-dir={profile.FullName}",
                $"--ignore-certificate-errors-spki-list={pin}", $"--host-resolver-rules=MAP {TunnelCluster.HostnameOf("page")} 127.0.0.1", "--virtual-time-budget=20000", "--dump-dom",
                fixture.UriOf("page").ToString(),
            ],
            timeout: TimeSpan.FromMinutes(4));
        try
        {
            profile.Delete(recursive: true);
        }
        catch (IOException)
        {
            // One of the browser's processes that ends later still writes there.
        }

        var host = TunnelCluster.HostnameOf("page");
        var expected = $"321px 77 h2 {host}|127.0.0.1|https|{host}:{fixture.Cluster.Port}||/seen?fetched";
        Assert.True(result.Output.Contains(expected, StringComparison.Ordinal), $"expected {expected}\n{result.Output}\n{result.Error}");
    }
}
