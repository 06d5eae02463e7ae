using System.Text;

namespace Shared.Pooling.Postgres.Sql;

// What makes something temporary.
internal ref partial struct StatementScanner
{
    private void Create()
    {
        Read();
        if (Is("or"u8))
        {
            Read();
            Read();
        }

        if (Is("function"u8) || Is("procedure"u8))
        {
            _isRoutine = true;
            return;
        }

        // ON and AS are in no name: what follows them is not what is made.
        var temporary = false;
        for (var word = 0; word < 8 && _token.Kind is SqlTokenKind.Word or SqlTokenKind.QuotedName && !Is("on"u8) && !Is("as"u8); word++)
        {
            temporary |= Is("temp"u8) || Is("temporary"u8) || IsTemporarySchema(_token);
            Read();
        }

        if (temporary)
        {
            effects.Add(new SqlEffect(SqlEffectKind.CreateTemp, effects.Statements) { OnCommitDrop = IsOnCommitDrop() });
        }
    }

    // It stands behind the columns and before the query; what the query calls is still to be looked into.
    private readonly bool IsOnCommitDrop()
    {
        var ahead = this;
        var (on, onCommit, depth) = (false, false, 0);
        while (ahead._token.Kind != SqlTokenKind.End && !ahead.IsPunctuation(';') && !(depth == 0 && ahead.Is("as"u8)))
        {
            if (depth == 0 && onCommit && ahead.Is("drop"u8))
            {
                return true;
            }

            depth += ahead.IsPunctuation('(') ? 1 : ahead.IsPunctuation(')') ? -1 : 0;
            (on, onCommit) = (ahead.Is("on"u8), on && ahead.Is("commit"u8));
            ahead.Read();
        }

        return false;
    }

    private void Into()
    {
        Read();
        if (Is("temp"u8) || Is("temporary"u8) || Is("local"u8) || Is("global"u8) || IsTemporarySchema(_token))
        {
            Add(SqlEffectKind.CreateTemp);
        }
    }

    // pg_temp is this session's; pg_temp_3 may be.
    private readonly bool IsTemporarySchema(in SqlToken token)
    {
        var name = _sql[token.Text..token.TextEnd];
        return token.Kind is SqlTokenKind.Word or SqlTokenKind.QuotedName && name.Length >= "pg_temp".Length
            && Ascii.EqualsIgnoreCase(name[.."pg_temp".Length], "pg_temp"u8) && (name.Length == "pg_temp".Length || name["pg_temp".Length] == '_');
    }
}
