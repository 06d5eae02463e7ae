using System.Text;
using Shared.Pooling.Postgres.Sql;

namespace Shared.Pooling.Tests.Sql;

public sealed class SqlScannerTests
{
    public static TheoryData<string, string> Statements => new()
    {
        { "select 1", "" },
        { "SELECT 'set x to 1; begin'", "" },
        { "select $$ begin; set x = 1 $$, $tag$ listen $$ x $tag$", "" },
        { "select 1 -- ; begin\n", "" },
        { "/* begin; /* nested */ set x = 1; */ select 1", "" },
        { "select \"set\", \"a;b\" from t", "" },
        { "insert into t select * from begin", "" },
        { "begin", "Begin" },
        { "START TRANSACTION ISOLATION LEVEL SERIALIZABLE", "Begin" },
        { "; ;begin;;commit;", "Begin Commit" },
        { "end", "Commit" },
        { "abort", "Rollback" },
        { "commit prepared 'x'", "" },
        { "prepare transaction 'x'", "Commit" },
        { "savepoint A", "Savepoint:a" },
        { "rollback work to savepoint \"A\"", "RollbackTo:A" },
        { "rollback to a", "RollbackTo:a" },
        { "release savepoint a", "Release:a" },
        { "set search_path to a, \"B\"", "Set:search_path=SET search_path TO a, \"B\"" },
        { "SET SESSION Work_Mem = '1MB'", "Set:work_mem=SET work_mem TO '1MB'" },
        { "set app.tenant = 'a''b;c'", "Set:app.tenant=SET \"app\".\"tenant\" TO 'a''b;c'" },
        { "set local x to 1", "SetLocal:x" },
        { "set x to default", "Reset:x" },
        { "set time zone 'UTC'", "Set:timezone=SET TIME ZONE 'UTC'" },
        { "set time zone interval '1' hour to minute", "Set:timezone=SET TIME ZONE interval '1' hour to minute" },
        { "set names 'latin1'", "Set:client_encoding=SET NAMES 'latin1'" },
        { "set role admin", "Set:role=SET ROLE admin" },
        { "set role none", "Reset:role" },
        { "set session authorization 'joe'", "Set:session_authorization=SET SESSION AUTHORIZATION 'joe'" },
        { "set session authorization default", "Reset:session_authorization" },
        { "set transaction read only", "SetLocal:transaction" },
        { "set session characteristics as transaction isolation level repeatable read, read only, not deferrable",
          "Set:default_transaction_isolation=SET default_transaction_isolation TO 'repeatable read' Set:default_transaction_read_only=SET default_transaction_read_only TO 'on' Set:default_transaction_deferrable=SET default_transaction_deferrable TO 'off'" },
        { "reset all", "ResetAll" },
        { "reset session authorization", "Reset:session_authorization" },
        { "reset Work_mem", "Reset:work_mem" },
        { "select set_config('a.b', 'c', false)", "Set:a.b=SELECT pg_catalog.set_config('a.b','c',false)" },
        { "select pg_catalog.set_config('a.b', 'c', true)", "SetLocal:a.b" },
        { "select set_config('a' || 'b', 'c', false)", "Opaque" },
        { "with x as (select set_config('a.b', $1, false)) select * from x", "Opaque" },
        { "select \"set_config\"('a.b', 'c', false)", "Set:a.b=SELECT pg_catalog.set_config('a.b','c',false)" },
        { "select pg_advisory_lock(1)", "AdvisoryLock" },
        { "select case when pg_try_advisory_lock_shared(1, 2) then 1 end", "AdvisoryLock" },
        { "select pg_advisory_xact_lock(1)", "" },
        { "select pg_advisory_unlock_all()", "AdvisoryUnlockAll" },
        { "listen \"Chan\"", "Listen:Chan" },
        { "unlisten *", "UnlistenAll" },
        { "unlisten chan", "Unlisten" },
        { "prepare p (int) as select $1", "Prepare:p" },
        { "deallocate prepare p", "Deallocate:p" },
        { "deallocate all", "DeallocateAll" },
        { "discard all", "DiscardAll" },
        { "discard temp", "DiscardTemp" },
        { "discard plans", "DiscardOther" },
        { "create temp table t (i int)", "CreateTemp" },
        { "create temporary view v as select 1", "CreateTemp" },
        { "create or replace temp view v as select 1", "CreateTemp" },
        { "create table pg_temp.t (i int)", "CreateTemp" },
        { "create temp table t (i int) on commit drop", "CreateTemp(drop)" },
        { "create global temporary table if not exists t as select 1", "CreateTemp" },
        { "select 1 into temp t", "CreateTemp" },
        { "create table t (temp int)", "" },
        { "declare c cursor with hold for select 1", "DeclareHold" },
        { "declare c cursor for select 1 with hold", "" },
        { "close all", "CloseAll" },
        { "load 'x'", "Load" },
        { "do $$ begin end $$", "Opaque" },
        { "call p()", "Opaque" },
        { "create function f() returns int begin atomic select 1; select 2; end; begin", "Begin" },
        { "create function f() returns int language sql as 'select 1; begin'; begin", "Begin" },
        { "rollback and chain", "Rollback(chain)" },
        { "commit and no chain", "Commit" },
    };

    [Theory]
    [MemberData(nameof(Statements))]
    public void Effects_are_found(string sql, string expected) => Assert.Equal(expected, Show(sql));

    [Fact]
    public void Statements_are_numbered()
    {
        var effects = new SqlEffects();
        SqlScanner.Scan("select 1; begin; select ';'; commit"u8, true, effects);

        Assert.Equal(4, effects.Statements);
        Assert.Equal([1, 3], effects.ToArray().Select(static effect => effect.Statement));
    }

    [Fact]
    public void Backslashes_escape_only_where_they_do()
    {
        Assert.Equal("Begin", Show("select E'\\'; commit'; begin"));
        Assert.Equal("Commit Begin", Show(@"select '\'; commit; begin"));
        Assert.Equal("Begin", Show(@"select '\'; commit'; begin", standardConformingStrings: false));
    }

    [Fact]
    public void Whatever_comes_it_ends_and_does_not_throw()
    {
        string[] pieces =
        [
            "set", "'", "\"", "$$", "$a$", "/*", "*/", "--", "\n", ";", "(", ")", ",", ".", "begin", "atomic", "create", "function", "temp", "set_config",
            "e'", "u&'", "\\", "declare", "with", "hold", "for", "session", "characteristics", "level", "role", "to", "=", "\0", "é", "1", "$1", " ",
        ];
        var random = new Random(7);
        var effects = new SqlEffects();
        for (var round = 0; round < 20_000; round++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(30)).Select(_ => pieces[random.Next(pieces.Length)] + (random.Next(2) == 0 ? " " : "")));
            SqlScanner.Scan(Encoding.UTF8.GetBytes(text), random.Next(2) == 0, effects);
            var bytes = new byte[random.Next(60)];
            random.NextBytes(bytes);
            SqlScanner.Scan(bytes, random.Next(2) == 0, effects);
        }
    }

    [Fact]
    public void Plain_statements_allocate_nothing()
    {
        var effects = new SqlEffects();
        SqlScanner.Scan("select name from items where id = $1 and other in (1, 2, 3)"u8, true, effects);
        var before = GC.GetAllocatedBytesForCurrentThread();

        for (var i = 0; i < 1000; i++)
        {
            SqlScanner.Scan("select name from items where id = $1 and other in (1, 2, 3)"u8, true, effects);
            SqlScanner.Scan("update items set name = 'x' where id = 5"u8, true, effects);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    private static string Show(string sql, bool standardConformingStrings = true)
    {
        var effects = new SqlEffects();
        SqlScanner.Scan(Encoding.UTF8.GetBytes(sql), standardConformingStrings, effects);
        return string.Join(' ', effects.ToArray().Select(static effect =>
            effect.Kind + (effect.Name is null ? "" : $":{effect.Name}") + (effect.Replay is null ? "" : $"={effect.Replay}")
            + (effect.OnCommitDrop ? "(drop)" : "") + (effect.Chain ? "(chain)" : "")));
    }
}
