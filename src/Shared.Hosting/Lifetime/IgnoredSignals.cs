using System.Globalization;

namespace Shared.Hosting.Lifetime;

/// <summary>The signals that this process ignores. Only Linux says which they are (proc_pid_status(5)); elsewhere none is known to be.</summary>
internal static class IgnoredSignals
{
    private const string Status = "/proc/self/status";
    private const string Field = "SigIgn:";
    private const ulong Hangup = 1;

    /// <summary>Whether SIGHUP is among them.</summary>
    public static bool ContainHangup() => OperatingSystem.IsLinux() && File.Exists(Status)
        && File.ReadLines(Status).FirstOrDefault(static line => line.StartsWith(Field, StringComparison.Ordinal)) is { } line
        && ulong.TryParse(line.AsSpan(Field.Length).Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var ignored)
        && (ignored & Hangup) != 0;
}
