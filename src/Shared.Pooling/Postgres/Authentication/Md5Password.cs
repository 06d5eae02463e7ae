using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace Shared.Pooling.Postgres.Authentication;

/// <summary>The md5 method, for old drivers. Source: PostgreSQL documentation, "Message Flow", AuthenticationMD5Password.</summary>
[SuppressMessage("Security", "CA5351", Justification = "The protocol's own method; SCRAM is preferred wherever both sides know it.")]
internal static class Md5Password
{
    /// <summary>What pg_authid keeps: md5 and the hash of password and user.</summary>
    public static string Stored(string password, string user) => "md5" + Hex(MD5.HashData(Encoding.UTF8.GetBytes(password + user)));

    /// <summary>What a client answers to a salt.</summary>
    public static string Answer(string stored, ReadOnlySpan<byte> salt) => "md5" + Hex(MD5.HashData([.. Encoding.ASCII.GetBytes(stored[3..]), .. salt]));

    /// <summary>True for an entry of pg_authid that is of this method.</summary>
    public static bool IsStored(string text) =>
        text.Length == 3 + (2 * MD5.HashSizeInBytes) && text.StartsWith("md5", StringComparison.Ordinal) && text[3..].All(char.IsAsciiHexDigitLower);

    private static string Hex(byte[] hash) => Convert.ToHexStringLower(hash);
}
