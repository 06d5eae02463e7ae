namespace Shared.Pooling.Postgres.Statements;

/// <summary>
/// Which statements one server connection has prepared, least recently used first, and whose its unnamed statement is.
/// Not safe for concurrent use.
/// </summary>
/// <param name="limit">How many are kept at most; the server's memory for each is its plan.</param>
internal sealed class ServerStatements(int limit)
{
    /// <summary>How many bytes they may have together.</summary>
    private const int MostBytes = 32 * 1024 * 1024;

    private readonly Dictionary<PreparedStatement, LinkedListNode<PreparedStatement>> _nodes = [];
    private readonly LinkedList<PreparedStatement> _order = new();
    private readonly HashSet<PreparedStatement> _outdated = [];
    private long _bytes;

    /// <summary>How many are prepared.</summary>
    public int Count => _nodes.Count;

    /// <summary>The definition of the unnamed statement; null when there is none.</summary>
    public PreparedStatement? Unnamed { get; set; }

    /// <summary>True when the statement is prepared; it then counts as just used.</summary>
    public bool Use(PreparedStatement statement)
    {
        if (!_nodes.TryGetValue(statement, out var node) || _outdated.Contains(statement))
        {
            return false;
        }

        if (node != _order.Last)
        {
            _order.Remove(node);
            _order.AddLast(node);
        }

        return true;
    }

    /// <summary>Takes away the least recently used one while there is no room for another.</summary>
    /// <returns>The statement to close; null when there is room.</returns>
    public PreparedStatement? MakeRoom(PreparedStatement statement)
    {
        if (_order.First is not { } oldest || (_nodes.Count < limit && _bytes + statement.Size <= MostBytes))
        {
            return null;
        }

        Remove(oldest.Value);
        return oldest.Value;
    }

    /// <summary>Notes a statement as prepared, unless it is already.</summary>
    public void Add(PreparedStatement statement)
    {
        if (_nodes.ContainsKey(statement))
        {
            return;
        }

        _nodes.Add(statement, _order.AddLast(statement));
        _bytes += statement.Size;
    }

    /// <summary>Notes a statement as not prepared, or not any more.</summary>
    public void Remove(PreparedStatement statement)
    {
        if (_nodes.Remove(statement, out var node))
        {
            _order.Remove(node);
            _outdated.Remove(statement);
            _bytes -= statement.Size;
        }
    }

    /// <summary>Notes that a statement's result has another shape than when it was parsed: it has to be closed and parsed anew.</summary>
    public void Outdate(PreparedStatement statement)
    {
        if (Unnamed == statement)
        {
            Unnamed = null;
        }

        if (_nodes.ContainsKey(statement))
        {
            // It still takes its room on the server, and makes room as the others do.
            _outdated.Add(statement);
        }
    }

    /// <summary>True when the server still had the statement as it was: it must be closed first.</summary>
    public bool TakeOutdated(PreparedStatement statement)
    {
        if (!_outdated.Contains(statement))
        {
            return false;
        }

        Remove(statement);
        return true;
    }

    /// <summary>Notes that the server dropped all of them.</summary>
    public void Clear()
    {
        _nodes.Clear();
        _order.Clear();
        _outdated.Clear();
        _bytes = 0;
        Unnamed = null;
    }
}
