namespace Shared.Pooling.Postgres.Sql;

/// <summary>
/// Cuts a query string into tokens as PostgreSQL's scanner does. Allocates nothing, never throws and looks at each byte a bounded number
/// of times; a token without an end reaches to the end of the text.
/// </summary>
/// <remarks>Source: PostgreSQL documentation, "Lexical Structure"; src/backend/parser/scan.l.</remarks>
/// <param name="sql">The text; any encoding that contains ASCII, as all server encodings do.</param>
/// <param name="standardConformingStrings">False when a backslash escapes in plain strings.</param>
internal ref struct SqlLexer(ReadOnlySpan<byte> sql, bool standardConformingStrings)
{
    private readonly ReadOnlySpan<byte> _sql = sql;
    private int _at;

    /// <summary>Where the next token is looked for.</summary>
    public readonly int Position => _at;

    /// <summary>The next token.</summary>
    public SqlToken Next()
    {
        SkipSpace();
        if (_at >= _sql.Length)
        {
            return new SqlToken(SqlTokenKind.End, _sql.Length, _sql.Length, _sql.Length, _sql.Length);
        }

        var start = _at;
        var first = _sql[_at];
        switch (first)
        {
            case (byte)'\'':
                return Quoted(start, start, !standardConformingStrings, SqlTokenKind.Literal);
            case (byte)'"':
                return Quoted(start, start, escapes: false, SqlTokenKind.QuotedName);
            case (byte)';' or (byte)'(' or (byte)')' or (byte)',' or (byte)'.':
                _at++;
                return new SqlToken(SqlTokenKind.Punctuation, start, _at, start, _at);
            case (byte)'$':
                return Dollar(start);
            default:
                return IsNameStart(first) ? Word(start) : Other(start);
        }
    }

    private static bool IsNameStart(byte c) => c is (byte)'_' or >= 0x80 || char.IsAsciiLetter((char)c);

    private static bool IsNamePart(byte c) => IsNameStart(c) || char.IsAsciiDigit((char)c) || c == '$';

    private static bool IsSpace(byte c) => c is (byte)' ' or (byte)'\t' or (byte)'\n' or (byte)'\r' or (byte)'\f' or (byte)'\v';

    private readonly byte Peek(int offset) => _at + offset < _sql.Length ? _sql[_at + offset] : (byte)0;

    private void SkipSpace()
    {
        while (_at < _sql.Length)
        {
            if (IsSpace(_sql[_at]))
            {
                _at++;
            }
            else if (_sql[_at] == '-' && Peek(1) == '-')
            {
                var end = _sql[_at..].IndexOfAny((byte)'\n', (byte)'\r');
                _at = end < 0 ? _sql.Length : _at + end;
            }
            else if (_sql[_at] == '/' && Peek(1) == '*')
            {
                SkipComment();
            }
            else
            {
                return;
            }
        }
    }

    // Comments nest.
    private void SkipComment()
    {
        var depth = 0;
        while (_at < _sql.Length)
        {
            if (_sql[_at] == '/' && Peek(1) == '*')
            {
                depth++;
                _at += 2;
            }
            else if (_sql[_at] == '*' && Peek(1) == '/')
            {
                depth--;
                _at += 2;
                if (depth == 0)
                {
                    return;
                }
            }
            else
            {
                _at++;
            }
        }

        _at = _sql.Length;
    }

    private SqlToken Quoted(int start, int quoteAt, bool escapes, SqlTokenKind kind)
    {
        var quote = _sql[quoteAt];
        var escaped = false;
        _at = quoteAt + 1;
        while (_at < _sql.Length)
        {
            var c = _sql[_at];
            if (escapes && c == '\\')
            {
                escaped = true;
                _at += 2;
            }
            else if (c != quote)
            {
                _at++;
            }
            else if (Peek(1) == quote)
            {
                _at += 2;
            }
            else
            {
                _at++;
                return new SqlToken(escaped ? SqlTokenKind.OtherLiteral : kind, start, _at, quoteAt + 1, _at - 1);
            }
        }

        _at = _sql.Length;
        return new SqlToken(escaped ? SqlTokenKind.OtherLiteral : kind, start, _at, Math.Min(quoteAt + 1, _at), _at);
    }

    private SqlToken Word(int start)
    {
        if (Peek(1) == '\'' && (char)(_sql[start] | 0x20) is 'e' or 'b' or 'x' or 'n' && Peek(1) == '\'')
        {
            return Quoted(start, start + 1, escapes: (_sql[start] | 0x20) == 'e', SqlTokenKind.OtherLiteral);
        }

        if ((_sql[start] | 0x20) == 'u' && Peek(1) == '&' && Peek(2) is (byte)'\'' or (byte)'"')
        {
            return Quoted(start, start + 2, escapes: false, SqlTokenKind.OtherLiteral);
        }

        while (_at < _sql.Length && IsNamePart(_sql[_at]))
        {
            _at++;
        }

        return new SqlToken(SqlTokenKind.Word, start, _at, start, _at);
    }

    private SqlToken Dollar(int start)
    {
        var tagEnd = start + 1;
        if (tagEnd < _sql.Length && IsNameStart(_sql[tagEnd]))
        {
            while (tagEnd < _sql.Length && IsNamePart(_sql[tagEnd]) && _sql[tagEnd] != '$')
            {
                tagEnd++;
            }
        }

        if (tagEnd >= _sql.Length || _sql[tagEnd] != '$')
        {
            _at = start + 1;
            while (_at < _sql.Length && char.IsAsciiDigit((char)_sql[_at]))
            {
                _at++;
            }

            return new SqlToken(SqlTokenKind.Other, start, _at, start, _at);
        }

        var delimiter = _sql[start..(tagEnd + 1)];
        var text = tagEnd + 1;
        var length = _sql[text..].IndexOf(delimiter);
        _at = length < 0 ? _sql.Length : text + length + delimiter.Length;
        return new SqlToken(SqlTokenKind.OtherLiteral, start, _at, text, length < 0 ? _at : text + length);
    }

    // Numbers and operators; of operators it only matters that comments and quotes are not swallowed.
    private SqlToken Other(int start)
    {
        if (char.IsAsciiDigit((char)_sql[_at]))
        {
            while (_at < _sql.Length && (IsNamePart(_sql[_at]) || _sql[_at] == '.'))
            {
                _at++;
            }
        }
        else
        {
            _at++;
        }

        return new SqlToken(SqlTokenKind.Other, start, _at, start, _at);
    }
}
