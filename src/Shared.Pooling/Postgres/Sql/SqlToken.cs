namespace Shared.Pooling.Postgres.Sql;

/// <summary>The kinds of tokens that the scanner tells apart.</summary>
internal enum SqlTokenKind : byte
{
    End,

    /// <summary>An unquoted identifier or keyword.</summary>
    Word,

    /// <summary>A quoted identifier; its text is between the quotes.</summary>
    QuotedName,

    /// <summary>A string without escapes: its text is between the quotes, quotes doubled.</summary>
    Literal,

    /// <summary>A string whose value is not simply its text: E'', U&amp;'', U&amp;"", B'', X'', dollar-quoted, or of several parts.</summary>
    OtherLiteral,

    /// <summary>A number, a parameter, or an operator.</summary>
    Other,

    /// <summary>A single character that structures statements: ; ( ) , .</summary>
    Punctuation,
}

/// <summary>A token: what it is and where it stands.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Start">Where it begins, its quotes included.</param>
/// <param name="End">Behind it.</param>
/// <param name="Text">Where its text begins: behind an opening quote.</param>
/// <param name="TextEnd">Behind its text.</param>
internal readonly record struct SqlToken(SqlTokenKind Kind, int Start, int End, int Text, int TextEnd);
