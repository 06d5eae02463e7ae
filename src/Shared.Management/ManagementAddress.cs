using Shared.Hosting.Configuration;
using Shared.Streams.Sockets;

namespace Shared.Management;

/// <summary>The management address of a configuration.</summary>
public static class ManagementAddress
{
    /// <summary>The key of the address, in all programs.</summary>
    public const string Key = "Management";

    /// <summary>The key that allows others than this host.</summary>
    public const string AllowRemoteKey = "ManagementAllowRemote";

    /// <summary>Checks it.</summary>
    /// <param name="text">As it is written; none without it.</param>
    /// <param name="allowRemote">True when others than this host may ask.</param>
    /// <exception cref="ConfigurationException">It is no address, or others can reach it although that was not asked for.</exception>
    public static ListenAddress? From(string? text, bool allowRemote)
    {
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }

        var address = SettingChecks.Address(Key, text);
        return address.IsLoopbackOnly || allowRemote
            ? address
            : throw new ConfigurationException(
                Key,
                $"'{address}' can be reached from outside. Write a loopback address or unix:/path, or set {AllowRemoteKey} to true: who reaches it learns names and counts, nothing secret.");
    }
}
