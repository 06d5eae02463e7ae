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
    private bool _hadEscapedName;

    /// <summary>Where the next token is looked for.</summary>
    public readonly int Position => _at;

    /// <summary>True when an identifier was among the tokens whose name is not simply its text: U&amp;"". Says so once.</summary>
    public bool TakeHadEscapedName()
    {
        var had = _hadEscapedName;
        _hadEscapedName = false;
        return had;
    }

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
        _at = quoteAt + 1;
        while (_at < _sql.Length)
        {
            var c = _sql[_at];
            if (escapes && c == '\\')
            {
                kind = SqlTokenKind.OtherLiteral;
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
                if (quote != '\'' || !GoesOn())
                {
                    return new SqlToken(kind, start, _at, quoteAt + 1, _at - 1);
                }

                kind = SqlTokenKind.OtherLiteral;
            }
        }

        _at = _sql.Length;
        return new SqlToken(kind, start, _at, Math.Min(quoteAt + 1, _at), _at);
    }

    // A string goes on, in the way in which it began, behind white space with a line's end in it (quotecontinue in scan.l).
    private bool GoesOn()
    {
        var (at, newLine) = (_at, false);
        while (at < _sql.Length)
        {
            if (IsSpace(_sql[at]))
            {
                newLine |= _sql[at] is (byte)'\n' or (byte)'\r';
                at++;
            }
            else if (_sql[at..].StartsWith("--"u8))
            {
                var end = _sql[at..].IndexOfAny((byte)'\n', (byte)'\r');
                at = end < 0 ? _sql.Length : at + end;
            }
            else if (newLine && _sql[at] == '\'')
            {
                _at = at + 1;
                return true;
            }
            else
            {
                return false;
            }
        }

        return false;
    }

    private SqlToken Word(int start)
    {
        var first = (char)(_sql[start] | 0x20);
        if (first is 'e' or 'b' or 'x' or 'n' && Peek(1) == '\'')
        {
            var escapes = first == 'e' || (first == 'n' && !standardConformingStrings);
            return Quoted(start, start + 1, escapes, SqlTokenKind.OtherLiteral);
        }

        if (first == 'u' && Peek(1) == '&' && Peek(2) is (byte)'\'' or (byte)'"')
        {
            _hadEscapedName |= Peek(2) == '"';
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

    // Numbers and operators. It only matters that comments, quotes and words are not swallowed: before version 15 a word may follow a digit.
    private SqlToken Other(int start)
    {
        if (char.IsAsciiDigit((char)_sql[_at]))
        {
            while (_at < _sql.Length && (char.IsAsciiDigit((char)_sql[_at]) || _sql[_at] == '.'))
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
