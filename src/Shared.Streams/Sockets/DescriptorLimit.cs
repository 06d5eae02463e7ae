using System.Runtime.InteropServices;

namespace Shared.Streams.Sockets;

/// <summary>How many connections there are file descriptors for in this process.</summary>
public static partial class DescriptorLimit
{
    /// <summary>
    /// For everything else: listeners, loops, files, and above all assemblies, of which the runtime keeps each one's file open and opens more
    /// whenever code runs for the first time. It aborts when it cannot, so connections must never come near to the limit.
    /// </summary>
    private const int Reserve = 512;

    /// <summary>With so few, a process has no room for more.</summary>
    private const int Least = 64;

    /// <summary>Where the system does not say.</summary>
    private const int Unknown = 8 * 1024;

    // getrlimit(2), asm-generic/resource.h.
    private const int NumberOfFiles = 7;

    /// <summary>The most connections at once, if each takes one descriptor.</summary>
    public static int Connections { get; } = ConnectionsWithin(Current());

    internal static int ConnectionsWithin(int descriptors) => Math.Max(Least, descriptors - Reserve);

    private static int Current() =>
        OperatingSystem.IsLinux() && GetLimit(NumberOfFiles, out var limit) == 0 ? (int)Math.Min(limit.Current, int.MaxValue) : Unknown;

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static partial int GetLimit(int resource, out Limit limit);

    private readonly struct Limit
    {
        public readonly nuint Current;
        public readonly nuint Most;
    }
}
