using System.Text;

namespace Shared.Pooling.Postgres.Sql;

// SET, RESET and set_config.
internal ref partial struct StatementScanner
{
    // set_config('name', 'value', false): only literals say what it does, and only where it is certain that it is called.
    private void SetConfig()
    {
        Read();
        var name = _token;
        Read();
        var first = IsPunctuation(',');
        Read();
        var value = _token;
        Read();
        var second = IsPunctuation(',');
        Read();
        var (scope, local) = (_token, Is("true"u8));
        var session = Is("false"u8);
        Read();
        if (effects.IsFull)
        {
            return;
        }

        if (!IsPunctuation(')') || !first || !second || name.Kind != SqlTokenKind.Literal || scope.Kind != SqlTokenKind.Word)
        {
            Add(SqlEffectKind.Opaque);
            return;
        }

        var setting = Encoding.UTF8.GetString(_sql[name.Text..name.TextEnd]).ToLowerInvariant();
        local |= SqlScanner.IsOfTransaction(setting);
        if (local && setting is not (SqlScanner.SearchPath or SqlScanner.ClientEncoding))
        {
            Add(SqlEffectKind.SetLocal, setting);
        }
        else if (value.Kind == SqlTokenKind.Literal && (local || (session && (_callsOnce ??= CallsOnce()))))
        {
            SetVerbatim(local, setting, $"SELECT pg_catalog.set_config({SqlScanner.Quote(setting)},{Encoding.UTF8.GetString(_sql[value.Start..value.End])},false)");
        }
        else
        {
            Add(SqlEffectKind.Opaque);
        }
    }

    private void Set()
    {
        var local = Is("local"u8);
        if (Is("session"u8))
        {
            Read();
            if (Is("characteristics"u8))
            {
                Characteristics();
                return;
            }

            if (Is("authorization"u8))
            {
                Read();
                SetOrReset(local: false, "session_authorization", Is("default"u8), $"SET SESSION AUTHORIZATION {Verbatim()}");
                return;
            }
        }
        else if (local)
        {
            Read();
            if (Is("session"u8))
            {
                Read();
                Add(SqlEffectKind.SetLocal, "session_authorization");
                return;
            }
        }

        if (Is("transaction"u8) || Is("constraints"u8))
        {
            // They concern this transaction only; but a snapshot or mode set in it may change what its statements mean.
            Add(SqlEffectKind.SetLocal, "transaction");
            return;
        }

        Variable(local);
    }

    // SET SESSION CHARACTERISTICS AS TRANSACTION: each mode is a setting of its own.
    private void Characteristics()
    {
        while (_token.Kind != SqlTokenKind.End && !IsPunctuation(';'))
        {
            var (not, level) = (Is("not"u8), Is("level"u8));
            var read = Is("read"u8);
            if (Is("deferrable"u8))
            {
                SetDefault("deferrable", "on");
            }

            Read();
            if (not && Is("deferrable"u8))
            {
                SetDefault("deferrable", "off");
                Read();
            }
            else if (level)
            {
                var first = SqlScanner.NameOf(_sql, _token);
                if (first != "serializable")
                {
                    Read();
                    first += " " + SqlScanner.NameOf(_sql, _token);
                }

                SetDefault("isolation", first);
                Read();
            }
            else if (read)
            {
                SetDefault("read_only", Is("only"u8) ? "on" : "off");
            }
        }
    }

    private readonly void SetDefault(string mode, string value) =>
        SetVerbatim(local: false, $"default_transaction_{mode}", $"SET default_transaction_{mode} TO {SqlScanner.Quote(value)}");

    private void Variable(bool local)
    {
        if (Is("time"u8))
        {
            Read();
            Read();
            SetOrReset(local, "timezone", Is("default"u8) || Is("local"u8), $"SET TIME ZONE {Verbatim()}");
        }
        else if (Is("names"u8))
        {
            Read();
            SetOrReset(local, "client_encoding", _token.Kind == SqlTokenKind.End || IsPunctuation(';') || Is("default"u8), $"SET NAMES {Verbatim()}");
        }
        else if (Is("schema"u8))
        {
            Read();
            SetOrReset(local, SqlScanner.SearchPath, isDefault: false, $"SET SCHEMA {Verbatim()}");
        }
        else if (Is("xml"u8))
        {
            SetVerbatim(local, "xmloption", $"SET {Verbatim()}");
        }
        else if (Is("role"u8))
        {
            Read();
            if (IsOther('=') || Is("to"u8))
            {
                Read();
            }

            SetOrReset(local, "role", Is("none"u8), $"SET ROLE {Verbatim()}");
        }
        else if (_token.Kind is SqlTokenKind.Word or SqlTokenKind.QuotedName)
        {
            var name = QualifiedName();
            Read();
            SetOrReset(local, name, Is("default"u8), $"SET {SqlScanner.QuoteName(name)} TO {Verbatim()}");
        }
    }

    private string QualifiedName()
    {
        var name = new StringBuilder(SqlScanner.NameOf(_sql, _token).ToLowerInvariant());
        Read();
        while (IsPunctuation('.'))
        {
            Read();
            name.Append('.').Append(SqlScanner.NameOf(_sql, _token).ToLowerInvariant());
            Read();
        }

        return name.ToString();
    }

    private void SetOrReset(bool local, string name, bool isDefault, string replay)
    {
        if (SqlScanner.IsOfTransaction(name))
        {
            Add(SqlEffectKind.SetLocal, name);
        }
        else if (isDefault && !local)
        {
            Add(SqlEffectKind.Reset, name);
        }
        else
        {
            SetVerbatim(local, name, replay);
        }
    }

    private readonly void SetVerbatim(bool local, string name, string replay)
    {
        effects.Add(new SqlEffect(local ? SqlEffectKind.SetLocal : SqlEffectKind.Set, effects.Statements, name) { Replay = local ? null : replay });
        if (name == SqlScanner.SearchPath && SqlScanner.MayNameTemporary(replay))
        {
            // From now on, what CREATE makes may be temporary without saying so.
            Add(SqlEffectKind.CreateTemp);
        }

        if ((name == SqlScanner.ClientEncoding && !SqlScanner.NamesPlainEncoding(replay))
            || (name == SqlScanner.StandardConformingStrings && !SqlScanner.SetsOn(replay)))
        {
            // What follows in the same batch is scanned before the server says that it reads it in another way.
            Add(SqlEffectKind.Opaque);
        }
    }

    /// <summary>The text from the present token to the statement's end; goes there.</summary>
    private string Verbatim()
    {
        var start = _token.Start;
        var end = start;
        while (_token.Kind != SqlTokenKind.End && !IsPunctuation(';'))
        {
            end = _token.End;
            Read();
        }

        return Encoding.UTF8.GetString(_sql[start..end]);
    }

    private void Reset()
    {
        Read();
        if (Is("all"u8))
        {
            Add(SqlEffectKind.ResetAll);
        }
        else if (Is("time"u8))
        {
            Add(SqlEffectKind.Reset, "timezone");
        }
        else if (Is("session"u8))
        {
            Add(SqlEffectKind.Reset, "session_authorization");
        }
        else if (_token.Kind is SqlTokenKind.Word or SqlTokenKind.QuotedName)
        {
            Add(SqlEffectKind.Reset, QualifiedName());
        }
    }
}
