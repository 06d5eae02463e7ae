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
        { "select set_config('a.b', 'c', false) as x, pg_catalog.set_config('d', 'e', false) AS \"from\", 1",
          "Set:a.b=SELECT pg_catalog.set_config('a.b','c',false) Set:d=SELECT pg_catalog.set_config('d','e',false)" },
        { "select set_config('a.b', 'c', false) where false", "Opaque" },
        { "select case when false then set_config('a.b', 'c', false) end", "Opaque" },
        { "select false and set_config('a.b', 'c', false) = ''", "Opaque" },
        { "select set_config('a.b', 'c', true and false)", "Opaque" },
        { "explain select set_config('a.b', 'c', false)", "Opaque" },
        { "prepare p as select set_config('a.b', 'c', false)", "Prepare:p Opaque" },
        { "declare p cursor for select set_config('a.b', 'c', false)", "Opaque" },
        { "create temp table t on commit drop as select set_config('a.b', 'c', false)", "CreateTemp(drop) Opaque" },
        { "create table t as select set_config('a.b', 'c', false)", "Opaque" },
        { "create temp table t (i int) on commit drop; begin", "CreateTemp(drop) Begin" },
        { "create temp table t as select 1 from a join b on commit drop", "CreateTemp" },
        { "select query_to_xml('select set_config(''a.b'', ''c'', false)', true, true, '')", "Opaque" },
        { "select pg_advisory_lock(1)", "AdvisoryLock" },
        { "select case when pg_try_advisory_lock_shared(1, 2) then 1 end", "AdvisoryLock" },
        { "select pg_advisory_xact_lock(1)", "" },
        { "select pg_advisory_unlock_all()", "MayUnpin" },
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
        { "select 1 into global temp t", "CreateTemp" },
        { "select 1into temp t", "CreateTemp" },
        { "select 1 into \"pg_temp\".t", "CreateTemp CreateTemp" },
        { "create table \"pg_temp\".t (i int)", "CreateTemp" },
        { "create table if not exists \"PG_TEMP_3\" . t (i int)", "CreateTemp" },
        { "create function pg_temp.f() returns int language sql as 'select 1'", "CreateTemp" },
        { "create type pg_temp.mood as enum ('ok')", "CreateTemp" },
        { "create table U&\"pg\\005ftemp\".t (i int)", "Opaque" },
        { "create table pg_temperature (i int)", "" },
        { "create function f() returns int language sql set search_path = app, pg_temp as 'select 1'", "" },
        { "create temp table t as select x.commit drop from (select 1 as commit) x", "CreateTemp" },
        { "explain analyze create temp table t as select 1", "CreateTemp" },
        { "explain (analyze, costs off) create temporary table t as select 1", "CreateTemp" },
        { "explain analyze declare c cursor with hold for select 1", "DeclareHold" },
        { "explain select * from t", "" },
        { "set search_path = pg_temp", "Set:search_path=SET search_path TO pg_temp CreateTemp" },
        { "set search_path to app, \"pg_temp\"", "Set:search_path=SET search_path TO app, \"pg_temp\" CreateTemp" },
        { "set schema 'pg_temp'", "Set:search_path=SET SCHEMA 'pg_temp' CreateTemp" },
        { "set local search_path = pg_temp", "SetLocal:search_path CreateTemp" },
        { "set local search_path = E'pg\\x5ftemp'", "SetLocal:search_path CreateTemp" },
        { "set local search_path = 'pg_'\n'temp'", "SetLocal:search_path CreateTemp" },
        { "set local search_path = app", "SetLocal:search_path" },
        { "select set_config('search_path', 'pg_temp', true)", "SetLocal:search_path CreateTemp" },
        { "select set_config('search_path', 'pg_' || 'temp', true)", "Opaque" },
        { "select set_config('app.x', $1, true)", "SetLocal:app.x" },
        { "select set_config('a'\n'b', 'c', false)", "Opaque" },
        { "update pg_settings set setting = 'x' where name = 'y'", "Opaque" },
        { "with s as (update only \"pg_catalog\".\"pg_settings\" set setting = 'x' returning 1) select 1", "Opaque" },
        { "select * from pg_settings", "" },
        { "copy (update pg_settings set setting = 'x' returning 1) to stdout", "Opaque" },
        { "select U&\"a\"; begin", "Opaque Begin" },
        { "select U&\"pg_advisory_lock\"(1)", "Opaque" },
        { "set U&\"search_path\" = 'x'", "Opaque" },
        { "select U&'pg_temp'", "" },
        { "create table t (temp int)", "" },
        { "declare c cursor with hold for select 1", "DeclareHold" },
        { "declare c cursor for select 1 with hold", "" },
        { "close all", "CloseAll" },
        { "load 'x'", "Load" },
        { "do $$ begin end $$", "Opaque" },
        { "call p()", "Opaque" },
        { "create function f() returns int begin atomic select 1; select 2; end; begin", "Begin" },
        { "create function f() returns int language sql as 'select 1; begin'; begin", "Begin" },
        { "create function begin() returns int language sql as 'select 1'; create temp table t (i int)", "CreateTemp" },
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
        Assert.Equal("Begin", Show(@"select N'\'; commit'; begin", standardConformingStrings: false));
    }

    /// <summary>A string goes on behind a line's end, in the way in which it began; "Lexical Structure", 4.1.2.1.</summary>
    [Theory]
    [InlineData("select E'a'\n'\\'; commit'; begin", "Begin")]
    [InlineData("select e'a' \t\r\n \n '\\'; commit'; begin", "Begin")]
    [InlineData("select E'a' -- '\n -- '\n'\\'; commit'; begin", "Begin")]
    [InlineData("select E'a'\n'b'\n'\\'; commit'; begin", "Begin")]
    [InlineData("select E'a' '\\'; commit; begin", "Commit Begin")]
    [InlineData("select E'a' /* \n */ '\\'; commit; begin", "Commit Begin")]
    [InlineData("select E'a'\n\"\\\"; commit; begin", "Commit Begin")]
    [InlineData("select 'a'\n'\\'; commit; begin", "Commit Begin")]
    [InlineData("select U&'a'\n'\\'; commit; begin", "Commit Begin")]
    [InlineData("select B'1'\nE'\\'; commit'; begin", "Begin")]
    [InlineData("select \"a\"\n'\\'; commit; begin", "Commit Begin")]
    public void String_of_several_parts_is_one(string sql, string expected) => Assert.Equal(expected, Show(sql));

    [Fact]
    public void More_effects_than_can_be_kept_are_one_that_is_not_known()
    {
        Assert.Equal(1000, Show(string.Concat(Enumerable.Repeat("begin;", 1000))).Split(' ').Length);
        Assert.Equal("Unseen", Show(string.Concat(Enumerable.Repeat("set a.b = 1;", 1001))));
        Assert.Equal("Unseen", Show("select " + string.Join(',', Enumerable.Repeat("pg_advisory_lock(1)", 1001))));
        Assert.Equal("Unseen", Show("select " + string.Join(',', Enumerable.Repeat("set_config('a.b', 'c', false)", 200_000))));
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
