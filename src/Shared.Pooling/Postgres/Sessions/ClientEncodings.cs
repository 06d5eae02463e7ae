namespace Shared.Pooling.Postgres.Sessions;

/// <summary>Encodings of clients in which the scanner can misread a statement.</summary>
/// <remarks>Source: PostgreSQL documentation, "Character Set Support": those that are no server encodings, because their characters hold bytes of ASCII.</remarks>
internal static class ClientEncodings
{
    /// <summary>True when a byte of a character may be a backslash, or another one that means something in SQL.</summary>
    public static bool HidesAscii(ReportedParameters reported) =>
        reported["client_encoding"] is "SJIS" or "SHIFT_JIS_2004" or "BIG5" or "GBK" or "UHC" or "GB18030" or "JOHAB";
}
