using System.Buffers.Binary;

namespace Shared.Streams;

/// <summary>Recognizes what clients of some protocols say first, which asks for nothing yet.</summary>
internal static class FirstWords
{
    // PostgreSQL, "Message Formats": StartupMessage has version 3.x, the others have a number of their own.
    private const int PostgresMajor = 3;
    private const int CancelRequest = 80877102;
    private const int SslRequest = 80877103;
    private const int GssEncryptionRequest = 80877104;
    private const int PostgresHeader = 8;

    private const byte TlsHandshake = 22;
    private const byte TlsMajor = 3;
    private const int TlsHeader = 5;

    /// <summary>True for exactly one PostgreSQL startup packet, one TLS ClientHello (RFC 8446 section 4.1.2), or an SSH version (RFC 4253 section 4.2).</summary>
    public static bool AreGreeting(ReadOnlySpan<byte> bytes) => IsPostgresStartup(bytes) || IsClientHello(bytes) || IsSshVersion(bytes);

    private static bool IsPostgresStartup(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < PostgresHeader || BinaryPrimitives.ReadInt32BigEndian(bytes) != bytes.Length)
        {
            return false;
        }

        var code = BinaryPrimitives.ReadInt32BigEndian(bytes[4..]);
        return code >> 16 == PostgresMajor || code is CancelRequest or SslRequest or GssEncryptionRequest;
    }

    // A record behind it could be early data, which asks for something.
    private static bool IsClientHello(ReadOnlySpan<byte> bytes) =>
        bytes.Length > TlsHeader && bytes[0] == TlsHandshake && bytes[1] == TlsMajor
        && BinaryPrimitives.ReadUInt16BigEndian(bytes[3..]) == bytes.Length - TlsHeader && bytes[TlsHeader] == 1;

    private static bool IsSshVersion(ReadOnlySpan<byte> bytes) => bytes.StartsWith("SSH-2.0-"u8) && bytes.IndexOf((byte)'\n') == bytes.Length - 1;
}
