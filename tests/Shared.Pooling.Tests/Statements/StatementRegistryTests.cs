using System.Text;
using Shared.Pooling.Postgres.Statements;
using Shared.Pooling.Tests.Hostile;

namespace Shared.Pooling.Tests.Statements;

/// <summary>Alone, because it looks at how much memory this process takes.</summary>
[Collection(nameof(Alone))]
public sealed class StatementRegistryTests
{
    private const int Large = 1 << 20;

    [Fact]
    public void Equal_statements_under_equal_settings_are_one()
    {
        var registry = new StatementRegistry();
        var statement = registry.Intern(Definition("select 1"), "a", true);

        Assert.Same(statement, registry.Intern(Definition("select 1"), "a", true));
        Assert.NotSame(statement, registry.Intern(Definition("select 1"), "b", true));
        Assert.NotSame(statement, registry.Intern(Definition("select 2"), "a", true));
    }

    [Fact]
    public void Who_loses_the_race_gets_what_the_winner_has_made()
    {
        var registry = new StatementRegistry();
        for (var round = 0; round < 200; round++)
        {
            var definition = Definition($"select {round}, '{new string('x', 2000)}'");
            var statements = new PreparedStatement[4];
            Parallel.For(0, statements.Length, i => statements[i] = registry.Intern(definition, "", true));

            Assert.Single(statements.Distinct());
        }
    }

    [Fact]
    public void Statement_that_nobody_holds_takes_no_memory()
    {
        var registry = new StatementRegistry();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        for (var i = 0; i < 64; i++)
        {
            registry.Intern(Definition($"select {i}, '{new string('x', Large)}'"), "", true);
        }

        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 16 * Large);
        GC.KeepAlive(registry);
    }

    [Fact]
    public void Server_connection_keeps_so_many_statements_and_so_many_bytes()
    {
        var (registry, prepared) = (new StatementRegistry(), new ServerStatements(limit: 3));
        PreparedStatement Add(string sql)
        {
            var statement = registry.Intern(Definition(sql), "", true);
            Assert.Null(prepared.MakeRoom(statement));
            prepared.Add(statement);
            return statement;
        }

        var (first, second, third) = (Add("select 1"), Add("select 2"), Add("select 3"));
        Assert.True(prepared.Use(first));
        var large = registry.Intern(Definition($"select '{new string('x', 32 * Large)}'"), "", true);

        Assert.Equal([second, third, first, null], [prepared.MakeRoom(large), prepared.MakeRoom(large), prepared.MakeRoom(large), prepared.MakeRoom(large)]);
        prepared.Add(large);
        Assert.Equal([large, null], [prepared.MakeRoom(first), prepared.MakeRoom(first)]);
    }

    // What follows the name in a Parse message: the text, a zero, no parameter types.
    private static byte[] Definition(string sql) => [.. Encoding.UTF8.GetBytes(sql), 0, 0, 0];
}
