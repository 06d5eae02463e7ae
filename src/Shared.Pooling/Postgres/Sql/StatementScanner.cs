using System.Text;

namespace Shared.Pooling.Postgres.Sql;

/// <summary>Scans one statement after the other.</summary>
internal ref partial struct StatementScanner(ReadOnlySpan<byte> sql, bool standardConformingStrings, SqlEffects effects)
{
    private readonly ReadOnlySpan<byte> _sql = sql;
    private SqlLexer _lexer = new(sql, standardConformingStrings);
    private SqlToken _token;
    private int _start;
    private bool? _callsOnce;
    private int _begins;
    private bool _isRoutine;
    private bool _isExplained;
    private bool _isSelect;

    /// <summary>Scans the next statement.</summary>
    /// <returns>False when there is none.</returns>
    public bool Next()
    {
        do
        {
            Read();
        }
        while (IsPunctuation(';'));

        if (_token.Kind == SqlTokenKind.End)
        {
            return false;
        }

        (_start, _callsOnce) = (_token.Start, null);
        (_begins, _isRoutine, _isExplained, _isSelect) = (0, false, false, Is("select"u8));
        if (_token.Kind == SqlTokenKind.Word)
        {
            Leading();
        }

        Rest();
        if (_lexer.TakeHadEscapedName())
        {
            // It may be any name. Nobody has to write one so.
            Add(SqlEffectKind.Opaque);
        }

        return true;
    }

    private void Leading()
    {
        // Most statements are told apart by their first letter.
        switch ((char)(_sql[_token.Start] | 0x20))
        {
            case 's' when Is("set"u8):
                Read();
                Set();
                break;
            case 's' when Is("savepoint"u8):
                Named(SqlEffectKind.Savepoint);
                break;
            case 's' when Is("start"u8):
                Add(SqlEffectKind.Begin);
                break;
            case 'b' when Is("begin"u8):
                Add(SqlEffectKind.Begin);
                break;
            case 'c' when Is("commit"u8):
                Commit();
                break;
            case 'e' when Is("end"u8):
                Commit();
                break;
            case 'e' when Is("explain"u8):
                _isExplained = true;
                break;
            case 'r' when Is("rollback"u8):
            case 'a' when Is("abort"u8):
                Rollback();
                break;
            case 'r' when Is("release"u8):
                Release();
                break;
            case 'r' when Is("reset"u8):
                Reset();
                break;
            case 'p' when Is("prepare"u8):
                Prepare();
                break;
            case 'd' when Is("deallocate"u8):
                Deallocate();
                break;
            case 'd' when Is("discard"u8):
                Discard();
                break;
            case 'd' when Is("do"u8):
                Add(SqlEffectKind.Opaque);
                break;
            case 'd' when Is("declare"u8):
                Declare();
                break;
            case 'c' when Is("call"u8):
                Add(SqlEffectKind.Opaque);
                break;
            case 'c' when Is("close"u8):
                Read();
                Add(Is("all"u8) ? SqlEffectKind.CloseAll : SqlEffectKind.MayUnpin);
                break;
            case 'd' when Is("drop"u8):
                Add(SqlEffectKind.MayUnpin);
                break;
            case 'c' when Is("create"u8):
                Create();
                break;
            case 'l' when Is("listen"u8):
                Named(SqlEffectKind.Listen);
                break;
            case 'l' when Is("load"u8):
                Add(SqlEffectKind.Load);
                break;
            case 'u' when Is("unlisten"u8):
                Read();
                Add(IsOther('*') ? SqlEffectKind.UnlistenAll : SqlEffectKind.Unlisten);
                break;
            default:
                break;
        }
    }

    /// <summary>Goes to the statement's end, and notes what it does on the way.</summary>
    private void Rest()
    {
        while (_token.Kind != SqlTokenKind.End)
        {
            if (IsPunctuation(';') && _begins == 0)
            {
                return;
            }

            if (_token.Kind is SqlTokenKind.Word or SqlTokenKind.QuotedName)
            {
                Word();
            }
            else
            {
                Read();
            }
        }
    }

    private void Commit()
    {
        Read();
        if (Is("prepared"u8))
        {
            return;
        }

        AddEnd(SqlEffectKind.Commit);
    }

    private void Rollback()
    {
        Read();
        if (Is("prepared"u8))
        {
            return;
        }

        if (Is("work"u8) || Is("transaction"u8))
        {
            Read();
        }

        if (!Is("to"u8))
        {
            AddEnd(SqlEffectKind.Rollback);
            return;
        }

        Read();
        if (Is("savepoint"u8))
        {
            Read();
        }

        Add(SqlEffectKind.RollbackTo, SqlScanner.NameOf(_sql, _token));
    }

    // AND CHAIN begins the next transaction at once; AND NO CHAIN does not.
    private void AddEnd(SqlEffectKind kind)
    {
        var chain = false;
        while (_token.Kind != SqlTokenKind.End && !IsPunctuation(';'))
        {
            chain = Is("chain"u8) && !chain;
            if (Is("no"u8))
            {
                Read();
            }

            Read();
        }

        effects.Add(new SqlEffect(kind, effects.Statements) { Chain = chain });
    }

    private void Release()
    {
        Read();
        if (Is("savepoint"u8))
        {
            Read();
        }

        Add(SqlEffectKind.Release, SqlScanner.NameOf(_sql, _token));
    }

    private void Prepare()
    {
        Read();
        if (Is("transaction"u8))
        {
            // The transaction goes on without its session, which is as after a commit.
            Add(SqlEffectKind.Commit);
        }
        else
        {
            Add(SqlEffectKind.Prepare, SqlScanner.NameOf(_sql, _token));
        }
    }

    private void Deallocate()
    {
        Read();
        if (Is("prepare"u8))
        {
            Read();
        }

        if (Is("all"u8))
        {
            Add(SqlEffectKind.DeallocateAll);
        }
        else if (_token.Kind is SqlTokenKind.Word or SqlTokenKind.QuotedName)
        {
            Add(SqlEffectKind.Deallocate, SqlScanner.NameOf(_sql, _token));
        }
    }

    private void Discard()
    {
        Read();
        Add(Is("all"u8) ? SqlEffectKind.DiscardAll : Is("temp"u8) || Is("temporary"u8) ? SqlEffectKind.DiscardTemp : SqlEffectKind.DiscardOther);
    }

    private void Declare()
    {
        // DECLARE name … CURSOR [WITH HOLD] FOR query: what follows FOR is the query's own.
        while (_token.Kind != SqlTokenKind.End && !IsPunctuation(';') && !Is("for"u8))
        {
            var with = Is("with"u8);
            Read();
            if (with && Is("hold"u8))
            {
                Add(SqlEffectKind.DeclareHold);
            }
        }
    }

    private void Named(SqlEffectKind kind)
    {
        Read();
        Add(kind, SqlScanner.NameOf(_sql, _token));
    }

    private readonly void Add(SqlEffectKind kind, string? name = null) => effects.Add(new SqlEffect(kind, effects.Statements, name));

    private void Read() => _token = _lexer.Next();

    private readonly bool Is(ReadOnlySpan<byte> word) => _token.Kind == SqlTokenKind.Word && Same(_token, word);

    private readonly bool Same(in SqlToken token, ReadOnlySpan<byte> word) =>
        token.TextEnd - token.Text == word.Length && Ascii.EqualsIgnoreCase(_sql[token.Text..token.TextEnd], word);

    private readonly bool IsPunctuation(char c) => _token.Kind == SqlTokenKind.Punctuation && _sql[_token.Start] == c;

    private readonly bool IsOther(char c) => _token.Kind == SqlTokenKind.Other && _token.End - _token.Start == 1 && _sql[_token.Start] == c;
}
