using Shared.Pooling.Postgres.Sql;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>Under which settings the scanner can misread a statement.</summary>
internal static class ReportedSyntax
{
    /// <summary>True when a statement may be read in another way than the scanner reads it, or when one behind it in the same batch may be.</summary>
    public static bool MayMisread(ReportedParameters reported) => HidesAscii(reported[SqlScanner.ClientEncoding]) || reported[SqlScanner.StandardConformingStrings] == "off";

    /// <summary>True when a byte of a character may be a backslash, or another one that means something in SQL.</summary>
    /// <remarks>Source: PostgreSQL documentation, "Character Set Support": those that are no server encodings, because their characters hold bytes of ASCII.</remarks>
    private static bool HidesAscii(string? encoding) => encoding is "SJIS" or "SHIFT_JIS_2004" or "BIG5" or "GBK" or "UHC" or "GB18030" or "JOHAB";
}
