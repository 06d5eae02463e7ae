namespace Shared.Pooling.Postgres.Sql;

// What calls a function that leaves something in the session, wherever in the statement it stands.
internal ref partial struct StatementScanner
{
    private void Word()
    {
        var word = _token;
        if (_isRoutine)
        {
            Routine();
        }
        else if (Is("into"u8))
        {
            Into();
            return;
        }
        else if (_isExplained && (Is("create"u8) || Is("declare"u8)))
        {
            // EXPLAIN ANALYZE does what it explains.
            _isExplained = false;
            Leading();
            return;
        }
        else
        {
            Read();
        }

        // Whatever matters begins with pg_, or is set_config or one of those that run SQL.
        if (word.TextEnd - word.Text >= "pg_temp".Length && (_sql[word.Text] | 0x20) is 'p' or 's' or 'q' or 't')
        {
            Name(word);
        }
    }

    private void Name(in SqlToken word)
    {
        if (IsPunctuation('('))
        {
            Call(word);
        }
        else if (IsPunctuation('.') && IsTemporarySchema(word))
        {
            Add(SqlEffectKind.CreateTemp);
        }
        else if (!_isSelect && Same(word, "pg_settings"u8))
        {
            // An UPDATE of it is a SET.
            Add(SqlEffectKind.Opaque);
        }
    }

    // The body of a routine in SQL's own syntax has statements of its own.
    private void Routine()
    {
        var begin = Is("begin"u8);
        _begins += _begins == 0 ? 0 : Is("case"u8) ? 1 : Is("end"u8) ? -1 : 0;
        Read();
        _begins += _begins == 0 && begin && Is("atomic"u8) ? 1 : 0;
    }

    private void Call(in SqlToken name)
    {
        if (_isRoutine)
        {
            return;
        }

        if (Same(name, "set_config"u8))
        {
            SetConfig();
        }
        else if (Same(name, "pg_advisory_unlock"u8) || Same(name, "pg_advisory_unlock_shared"u8) || Same(name, "pg_advisory_unlock_all"u8))
        {
            // Whether it was called, and as often as the lock was taken, only the server knows.
            Add(SqlEffectKind.MayUnpin);
        }
        else if (Same(name, "pg_advisory_lock"u8) || Same(name, "pg_advisory_lock_shared"u8)
            || Same(name, "pg_try_advisory_lock"u8) || Same(name, "pg_try_advisory_lock_shared"u8))
        {
            Add(SqlEffectKind.AdvisoryLock);
        }
        else if (Same(name, "query_to_xml"u8) || Same(name, "query_to_xmlschema"u8) || Same(name, "query_to_xml_and_xmlschema"u8)
            || Same(name, "ts_stat"u8) || Same(name, "ts_rewrite"u8))
        {
            // They run SQL that they are given as a string.
            Add(SqlEffectKind.Opaque);
        }
    }

    /// <summary>
    /// True when the present statement is a SELECT of calls of set_config and constants, so that each is called once, now. Anything else
    /// may call it never (WHERE, EXPLAIN) or later (PREPARE, DECLARE).
    /// </summary>
    private readonly bool CallsOnce()
    {
        if (!_isSelect)
        {
            return false;
        }

        var ahead = new StatementScanner(_sql[_start..], standardConformingStrings, effects);
        ahead.Read();
        do
        {
            if (ahead.Is("as"u8))
            {
                ahead.Read();
            }
            else if (ahead._token.Kind is SqlTokenKind.Word or SqlTokenKind.QuotedName
                && !(ahead.Is("select"u8) || ahead.Is("true"u8) || ahead.Is("false"u8)
                    || ahead.Same(ahead._token, "pg_catalog"u8) || ahead.Same(ahead._token, "set_config"u8)))
            {
                return false;
            }

            ahead.Read();
        }
        while (ahead._token.Kind != SqlTokenKind.End && !ahead.IsPunctuation(';'));
        return true;
    }
}
