namespace TunnelIngress.State;

/// <summary>Where the state is.</summary>
internal static class StateDirectory
{
    /// <summary>The directory that was asked for, else systemd's, else the system's for root, else the user's own.</summary>
    public static string Resolve(string? asked)
    {
        if (!string.IsNullOrEmpty(asked))
        {
            return Path.GetFullPath(asked);
        }

        // systemd.exec(5): several directories are separated by colons; the first is ours.
        if (Environment.GetEnvironmentVariable("STATE_DIRECTORY") is { Length: > 0 } ofSystemd)
        {
            return ofSystemd.Split(':')[0];
        }

        return Environment.IsPrivilegedProcess
            ? "/var/lib/tunnel-ingress"
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local", "state", "tunnel-ingress");
    }
}
