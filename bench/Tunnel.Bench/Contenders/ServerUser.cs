using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Contenders;

/// <summary>The user that PostgreSQL and PgBouncer run as: their own when we are root, because both refuse to be root.</summary>
internal static class ServerUser
{
    private const string Name = "postgres";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    /// <summary>Gets what to write in front of a command to run it as that user, from a directory which that user can enter.</summary>
    public static string[] Prefix { get; } =
        Environment.IsPrivilegedProcess ? ["setpriv", $"--reuid={Name}", $"--regid={Name}", "--clear-groups", "env", "-C", "/"] : ["env"];

    /// <summary>Gets the name for a program that changes its user itself; null when we are nobody special.</summary>
    public static string? NameToBecome => Environment.IsPrivilegedProcess ? Name : null;

    public static Task RunAsync(string[] command, CancellationToken cancellationToken) =>
        Tool.RunAsync(Prefix[0], [.. Prefix[1..], .. command], new Dictionary<string, string>(), Patience, cancellationToken);

    public static async Task GiveAsync(string path, CancellationToken cancellationToken)
    {
        if (Environment.IsPrivilegedProcess)
        {
            await Tool.RunAsync("chown", [$"{Name}:", path], new Dictionary<string, string>(), Patience, cancellationToken);
        }
    }

    /// <summary>Writes a file that only that user (and we) can read.</summary>
    public static async Task WriteSecretAsync(string path, string text, CancellationToken cancellationToken)
    {
        await using (File.Create(path))
        {
        }

        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await File.WriteAllTextAsync(path, text, cancellationToken);
        await GiveAsync(path, cancellationToken);
    }
}
