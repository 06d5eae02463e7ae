namespace Shared.Pooling.Tests.Postgres;

/// <summary>What a client sends, in steps: after each it waits for as many ReadyForQuery, or for as many messages.</summary>
public sealed class Script(string name)
{
    private readonly List<(byte[][] Messages, int Ready, int Answers)> _steps = [];

    internal IReadOnlyList<(byte[][] Messages, int Ready, int Answers)> Steps => _steps;

    /// <summary>Sends messages that are answered by one ReadyForQuery.</summary>
    internal Script Then(params byte[][] messages) => Then(1, messages);

    internal Script Then(int ready, params byte[][] messages)
    {
        _steps.Add((messages, ready, 0));
        return this;
    }

    /// <summary>Sends messages that end in a Flush, and waits for so many answers.</summary>
    internal Script Flushed(int answers, params byte[][] messages)
    {
        _steps.Add(([.. messages, Ask.Flush()], 0, answers));
        return this;
    }

    /// <summary>Sends a query.</summary>
    internal Script Query(string sql) => Then(Ask.Query(sql));

    public override string ToString() => name;
}
