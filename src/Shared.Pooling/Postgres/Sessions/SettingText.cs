using System.Text;
using Shared.Pooling.Postgres.Sql;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>The statements that make settings are kept as text, which was UTF-8 when the client sent it, and is when it is sent again.</summary>
/// <remarks>Source: PostgreSQL documentation, "Automatic Character Set Conversion Between Server and Client".</remarks>
internal static class SettingText
{
    /// <summary>The statement after which a server reads what comes next as UTF-8.</summary>
    public const string Utf8 = "SET client_encoding TO 'UTF8'";

    private const char Replacement = '\uFFFD';

    /// <summary>True when a server reads the text, sent as UTF-8, as what it is.</summary>
    public static bool IsReadAsUtf8(string text, ReportedParameters reported) => Ascii.IsValid(text) || reported[SqlScanner.ClientEncoding] == "UTF8";

    /// <summary>True when the text is what the client has sent, and the server has read.</summary>
    public static bool WasUtf8(string text, ReportedParameters reported) => IsReadAsUtf8(text, reported) && !text.Contains(Replacement, StringComparison.Ordinal);
}
