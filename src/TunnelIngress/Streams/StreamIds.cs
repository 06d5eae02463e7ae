using System.Security.Cryptography;

namespace TunnelIngress.Streams;

/// <summary>Random names: 64 bits for a stream (a log's key), 128 bits for a session (an attacker must not guess one).</summary>
internal static class StreamIds
{
    public static string NewStream() => RandomNumberGenerator.GetHexString(16, lowercase: true);

    public static string NewSession() => RandomNumberGenerator.GetHexString(32, lowercase: true);
}
