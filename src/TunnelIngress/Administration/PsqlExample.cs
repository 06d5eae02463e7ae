namespace TunnelIngress.Administration;

/// <summary>How psql connects to the ingress's PostgreSQL port, as help and answers show it.</summary>
internal static class PsqlExample
{
    /// <summary>Says for which versions the command below is.</summary>
    public const string Versions = "# libpq 16 or later; before: sslrootcert=/etc/ssl/certs/ca-certificates.crt";

    /// <summary>The command for a hostname and a database.</summary>
    public static string For(string hostname, string database) =>
        $"psql \"host={hostname} user=CLIENT-ID dbname={database} sslmode=verify-full sslrootcert=system\"";
}
