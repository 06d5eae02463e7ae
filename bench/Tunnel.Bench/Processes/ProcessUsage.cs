using System.Globalization;

namespace Tunnel.Bench.Processes;

/// <summary>Processor time and resident memory from Linux's /proc, a process and its descendants taken together.</summary>
internal static class ProcessUsage
{
    // USER_HZ: the kernel's interface counts in hundredths of a second on every architecture .NET runs on.
    private const double TicksPerSecond = 100;

    // Positions after the program's name in /proc/PID/stat, see proc(5).
    private const int ParentField = 1;
    private const int UserTimeField = 11;
    private const int SystemTimeField = 12;
    private const int ChildrenUserTimeField = 13;
    private const int ChildrenSystemTimeField = 14;

    /// <returns>Seconds of processor time, user and system.</returns>
    public static double CpuSeconds(IEnumerable<WatchedProcess> processes)
    {
        var stats = ReadAllStats();
        return processes.SelectMany(process => WithDescendants(process.Id, stats))
            .Sum(id => Ticks(stats[id], UserTimeField) + Ticks(stats[id], SystemTimeField)) / TicksPerSecond;
    }

    /// <returns>Seconds of processor time of all children of this process that have ended.</returns>
    public static double EndedChildrenCpuSeconds()
    {
        var stat = ReadAllStats()[Environment.ProcessId];
        return (Ticks(stat, ChildrenUserTimeField) + Ticks(stat, ChildrenSystemTimeField)) / TicksPerSecond;
    }

    /// <returns>Resident memory in KiB.</returns>
    public static double ResidentKiB(WatchedProcess process) =>
        WithDescendants(process.Id, ReadAllStats()).Sum(ReadResidentKiB);

    private static List<int> WithDescendants(int root, Dictionary<int, string[]> stats)
    {
        if (!stats.ContainsKey(root))
        {
            throw new InvalidOperationException($"process {root} has ended");
        }

        var found = new List<int> { root };
        for (var i = 0; i < found.Count; i++)
        {
            var parent = found[i].ToString(CultureInfo.InvariantCulture);
            found.AddRange(stats.Where(stat => stat.Value[ParentField] == parent).Select(stat => stat.Key));
        }

        return found;
    }

    private static Dictionary<int, string[]> ReadAllStats()
    {
        var stats = new Dictionary<int, string[]>();
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory), CultureInfo.InvariantCulture, out var id) && TryRead(Path.Combine(directory, "stat")) is { } stat)
            {
                // The name is in parentheses and may hold blanks and parentheses itself.
                stats[id] = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            }
        }

        return stats;
    }

    private static double ReadResidentKiB(int id)
    {
        var line = TryRead($"/proc/{id}/status")?.Split('\n').FirstOrDefault(line => line.StartsWith("VmRSS:", StringComparison.Ordinal));
        return line is null ? 0 : double.Parse(line["VmRSS:".Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
    }

    private static long Ticks(string[] stat, int field) => long.Parse(stat[field], CultureInfo.InvariantCulture);

    private static string? TryRead(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            // It ended between the listing and the reading.
            return null;
        }
    }
}
