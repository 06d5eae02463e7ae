using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Contenders;

/// <summary>A self-signed certificate for localhost, made for the run.</summary>
/// <param name="File">Its PEM file, which clients take as the root they trust.</param>
/// <param name="KeyFile">The PEM file of its key.</param>
internal sealed record Certificate(string File, string KeyFile)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static async Task<Certificate> CreateAsync(string directory, CancellationToken cancellationToken)
    {
        var certificate = new Certificate(Path.Combine(directory, "localhost.pem"), Path.Combine(directory, "localhost.key"));
        await Tool.RunAsync(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", certificate.KeyFile, "-out", certificate.File,
            ],
            new Dictionary<string, string>(), Patience, cancellationToken);
        return certificate;
    }

    /// <summary>Writes certificate and key into one file, as HAProxy wants them.</summary>
    /// <returns>The file.</returns>
    public async Task<string> WriteWithKeyAsync(string directory, CancellationToken cancellationToken)
    {
        var both = Path.Combine(directory, "both.pem");
        await System.IO.File.WriteAllTextAsync(
            both, await System.IO.File.ReadAllTextAsync(File, cancellationToken) + await System.IO.File.ReadAllTextAsync(KeyFile, cancellationToken), cancellationToken);
        return both;
    }

    /// <summary>Copies it for a server that runs as the database's user.</summary>
    public async Task<Certificate> CopyToAsync(string directory, CancellationToken cancellationToken)
    {
        var copy = new Certificate(Path.Combine(directory, "server.pem"), Path.Combine(directory, "server.key"));
        await ServerUser.WriteSecretAsync(copy.File, await System.IO.File.ReadAllTextAsync(File, cancellationToken), cancellationToken);
        await ServerUser.WriteSecretAsync(copy.KeyFile, await System.IO.File.ReadAllTextAsync(KeyFile, cancellationToken), cancellationToken);
        return copy;
    }
}
