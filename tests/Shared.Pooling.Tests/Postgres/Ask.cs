using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>Messages of a client's, as bytes.</summary>
internal static class Ask
{
    public static byte[] Query(string sql) => Message(FrontendMessage.Query, writer => writer.CString(sql));

    public static byte[] Parse(string name, string sql, params int[] types) => Message(FrontendMessage.Parse, writer =>
    {
        writer.CString(name).CString(sql).Int16((short)types.Length);
        foreach (var type in types)
        {
            writer.Int32(type);
        }
    });

    public static byte[] Bind(string portal, string statement, params string?[] values) => Message(FrontendMessage.Bind, writer =>
    {
        writer.CString(portal).CString(statement).Int16(0).Int16((short)values.Length);
        foreach (var value in values)
        {
            if (value is null)
            {
                writer.Int32(-1);
            }
            else
            {
                var bytes = System.Text.Encoding.UTF8.GetBytes(value);
                writer.Int32(bytes.Length).Bytes(bytes);
            }
        }

        writer.Int16(0);
    });

    public static byte[] DescribeStatement(string name) => Message(FrontendMessage.Describe, writer => writer.Byte((byte)'S').CString(name));

    public static byte[] DescribePortal(string name) => Message(FrontendMessage.Describe, writer => writer.Byte((byte)'P').CString(name));

    public static byte[] CloseStatement(string name) => Message(FrontendMessage.Close, writer => writer.Byte((byte)'S').CString(name));

    public static byte[] ClosePortal(string name) => Message(FrontendMessage.Close, writer => writer.Byte((byte)'P').CString(name));

    public static byte[] Execute(string portal = "", int rows = 0) => Message(FrontendMessage.Execute, writer => writer.CString(portal).Int32(rows));

    public static byte[] Sync() => Message(FrontendMessage.Sync, static _ => { });

    public static byte[] Flush() => Message(FrontendMessage.Flush, static _ => { });

    public static byte[] CopyData(string data) => Message(FrontendMessage.CopyData, writer => writer.Bytes(System.Text.Encoding.UTF8.GetBytes(data)));

    public static byte[] CopyDone() => Message(FrontendMessage.CopyDone, static _ => { });

    public static byte[] CopyFail(string why) => Message(FrontendMessage.CopyFail, writer => writer.CString(why));

    /// <summary>Calls a function by its OID with text arguments.</summary>
    public static byte[] Function(int oid, params string[] arguments) => Message(FrontendMessage.FunctionCall, writer =>
    {
        writer.Int32(oid).Int16(0).Int16((short)arguments.Length);
        foreach (var argument in arguments)
        {
            var bytes = System.Text.Encoding.UTF8.GetBytes(argument);
            writer.Int32(bytes.Length).Bytes(bytes);
        }

        writer.Int16(0);
    });

    public static byte[] Terminate() => Message(FrontendMessage.Terminate, static _ => { });

    private static byte[] Message(byte type, Action<MessageWriter> write)
    {
        using var writer = new MessageWriter();
        writer.Begin(type);
        write(writer);
        writer.End();
        return writer.Written.ToArray();
    }
}
