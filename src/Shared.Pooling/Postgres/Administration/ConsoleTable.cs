using System.Text;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Administration;

/// <summary>A table that the console answers with; all columns are text.</summary>
/// <param name="columns">Their names.</param>
internal sealed class ConsoleTable(params string[] columns)
{
    private const int TextType = 25;

    private readonly List<string?[]> _rows = [];

    /// <summary>Adds a row; a value each column.</summary>
    public ConsoleTable Add(params string?[] values)
    {
        _rows.Add(values);
        return this;
    }

    /// <summary>Writes it as the answer to a query.</summary>
    public void Write(MessageWriter writer)
    {
        writer.Begin(BackendMessage.RowDescription).Int16((short)columns.Length);
        foreach (var column in columns)
        {
            writer.CString(column).Int32(0).Int16(0).Int32(TextType).Int16(-1).Int32(-1).Int16(0);
        }

        writer.End();
        foreach (var row in _rows)
        {
            writer.Begin(BackendMessage.DataRow).Int16((short)row.Length);
            foreach (var value in row)
            {
                var bytes = value is null ? null : Encoding.UTF8.GetBytes(value);
                writer.Int32(bytes?.Length ?? -1).Bytes(bytes);
            }

            writer.End();
        }

        writer.Begin(BackendMessage.CommandComplete).CString("SHOW").End();
    }
}
