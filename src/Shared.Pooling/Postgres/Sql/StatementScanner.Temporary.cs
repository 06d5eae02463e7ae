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

        var temporary = false;
        for (var word = 0; word < 8 && _token.Kind is SqlTokenKind.Word or SqlTokenKind.QuotedName; word++)
        {
            temporary |= Is("temp"u8) || Is("temporary"u8) || IsTemporarySchema(_token);
            Read();
        }

        if (temporary)
        {
            effects.Add(new SqlEffect(SqlEffectKind.CreateTemp, effects.Statements) { OnCommitDrop = EndsWithOnCommitDrop() });
        }
    }

    private bool EndsWithOnCommitDrop()
    {
        var (on, onCommit) = (false, false);
        while (_token.Kind != SqlTokenKind.End && !IsPunctuation(';'))
        {
            if (onCommit && Is("drop"u8))
            {
                return true;
            }

            (on, onCommit) = (Is("on"u8), on && Is("commit"u8));
            Read();
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
