using System.Buffers.Binary;
using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Tests.Postgres;

namespace Shared.Pooling.Tests.Hostile;

/// <summary>What no client that is in its right mind sends.</summary>
internal static class BadMessages
{
    /// <summary>Lengths that no message has, and the largest that a signed number holds.</summary>
    public static readonly uint[] Lengths = [0, 3, 0x7fffffff, 0x80000000, 0xffffffff];

    /// <summary>Messages that are whole, so that what follows them can be answered again: name and bytes.</summary>
    public static IEnumerable<(string Name, byte[] Bytes)> Whole()
    {
        yield return ("type 0xff", Raw(0xff));
        yield return ("type zero", Raw(0));
        yield return ("type !", Raw((byte)'!', 1, 2, 3));
        yield return ("startup message", [0, 0, 0, 16, 0, 3, 0, 0, .. "user\0x\0\0"u8]);
        yield return ("SSLRequest", [0, 0, 0, 8, 4, 210, 22, 47]);
        yield return ("password", Raw((byte)'p', [.. "secret\0"u8]));
        foreach (var type in "RK123stGWVANIvZTc")
        {
            yield return ($"server's {type}", Raw((byte)type, [0, 0, 0, 0]));
        }

        yield return ("server's ready", Raw((byte)'Z', (byte)'I'));
        yield return ("server's row", Raw((byte)'D', [0, 1, 0, 0, 0, 1, (byte)'x']));
        yield return ("server's command complete", Raw((byte)'C', [.. "SELECT 1\0"u8]));
        yield return ("server's error", Raw((byte)'E', [.. "SERROR\0C42601\0Mno\0\0"u8]));
        yield return ("server's parameter", Raw((byte)'S', [.. "name\0value\0"u8]));

        yield return ("query without content", Raw(FrontendMessage.Query));
        yield return ("query without end", Raw(FrontendMessage.Query, [.. "select 1"u8]));
        yield return ("query with more behind", Raw(FrontendMessage.Query, [.. "select 1\0select 2\0"u8]));
        yield return ("query that is no UTF-8", Raw(FrontendMessage.Query, [.. "select '"u8, 0xff, 0xc0, 0x80, .. "'\0"u8]));

        yield return ("parse without content", Raw(FrontendMessage.Parse));
        yield return ("parse without end of its name", Raw(FrontendMessage.Parse, [.. "name"u8]));
        yield return ("parse without end of its text", Raw(FrontendMessage.Parse, [.. "name\0select 1"u8]));
        yield return ("parse without its count", Raw(FrontendMessage.Parse, [.. "\0select 1\0"u8]));
        yield return ("parse with a lying count", Raw(FrontendMessage.Parse, [.. "lie\0select 1\0"u8, 0x7f, 0xff]));
        yield return ("parse with a negative count", Raw(FrontendMessage.Parse, [.. "lie\0select 1\0"u8, 0xff, 0xff]));
        yield return ("parse with more behind", Raw(FrontendMessage.Parse, [.. "lie\0select 1\0\0\0more"u8]));
        yield return ("parse of an unknown type", Raw(FrontendMessage.Parse, [.. "lie\0select $1\0"u8, 0, 1, 0xff, 0xff, 0xff, 0xff]));

        yield return ("bind without content", Raw(FrontendMessage.Bind));
        yield return ("bind without end of its portal", Raw(FrontendMessage.Bind, [.. "portal"u8]));
        yield return ("bind without end of its statement", Raw(FrontendMessage.Bind, [.. "\0statement"u8]));
        yield return ("bind without counts", Raw(FrontendMessage.Bind, [0, 0]));
        yield return ("bind with a lying count of formats", Raw(FrontendMessage.Bind, [0, 0, 0x7f, 0xff, 0, 0, 0, 0]));
        yield return ("bind with a negative count of formats", Raw(FrontendMessage.Bind, [0, 0, 0xff, 0xff, 0, 0, 0, 0]));
        yield return ("bind with a lying count of values", Raw(FrontendMessage.Bind, [0, 0, 0, 0, 0x7f, 0xff, 0, 0]));
        yield return ("bind with a lying length", Raw(FrontendMessage.Bind, [0, 0, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 0]));
        yield return ("bind with a negative length", Raw(FrontendMessage.Bind, [0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe, 0, 0]));
        yield return ("bind with more behind", [.. Ask.Parse("", "select 1"), .. Raw(FrontendMessage.Bind, [0, 0, 0, 0, 0, 0, 0, 0, 9])]);

        yield return ("describe without content", Raw(FrontendMessage.Describe));
        yield return ("describe of something else", Raw(FrontendMessage.Describe, [(byte)'X', 0]));
        yield return ("describe without end", Raw(FrontendMessage.Describe, [.. "Sname"u8]));
        yield return ("describe with more behind", Raw(FrontendMessage.Describe, [.. "S\0more"u8]));
        yield return ("close without content", Raw(FrontendMessage.Close));
        yield return ("close of something else", Raw(FrontendMessage.Close, [(byte)'X', 0]));
        yield return ("close without end", Raw(FrontendMessage.Close, [.. "Sname"u8]));
        yield return ("close with more behind", Raw(FrontendMessage.Close, [.. "S\0more"u8]));
        yield return ("execute without content", Raw(FrontendMessage.Execute));
        yield return ("execute without end of its portal", Raw(FrontendMessage.Execute, [.. "portal"u8]));
        yield return ("execute without its count", Raw(FrontendMessage.Execute, [0]));
        yield return ("execute with more behind", Raw(FrontendMessage.Execute, [0, 0, 0, 0, 0, 9]));
        yield return ("execute of no portal", Ask.Execute("nothing"));

        yield return ("sync with content", Raw(FrontendMessage.Sync, 1));
        yield return ("flush with content", Raw(FrontendMessage.Flush, 1));
        yield return ("terminate with content", Raw(FrontendMessage.Terminate, 1));
        yield return ("terminate", Ask.Terminate());
        yield return ("copy data", Ask.CopyData("line\n"));
        yield return ("copy data without content", Raw(FrontendMessage.CopyData));
        yield return ("copy done", Ask.CopyDone());
        yield return ("copy done with content", Raw(FrontendMessage.CopyDone, 1));
        yield return ("copy fail", Ask.CopyFail("on purpose"));
        yield return ("copy fail without end", Raw(FrontendMessage.CopyFail, [.. "on purpose"u8]));
        yield return ("function call without content", Raw(FrontendMessage.FunctionCall));
        yield return ("function call with lying counts", Raw(FrontendMessage.FunctionCall, [0, 0, 6, 74, 0x7f, 0xff, 0x7f, 0xff]));
    }

    /// <summary>Messages whose end never comes: name and bytes.</summary>
    public static IEnumerable<(string Name, byte[] Bytes)> Truncated()
    {
        foreach (var type in "QPBDEdf")
        {
            foreach (var length in Lengths)
            {
                yield return ($"{type} of length {length}", [.. WithLength((byte)type, length), .. "select 1"u8]);
            }
        }

        yield return ("one byte", [(byte)'Q']);
        yield return ("half a header", [(byte)'Q', 0, 0]);
        yield return ("half a query", Ask.Query("select 'truncated'")[..^5]);
        yield return ("half a parse", Ask.Parse("half", "select 1")[..^5]);
        yield return ("half a bind", Ask.Bind("", "", "value")[..^5]);
        yield return ("half copy data", Ask.CopyData("half a line")[..^5]);
        yield return ("half a function call", Ask.Function(1610, "x")[..^5]);
    }

    /// <summary>A message's beginning.</summary>
    public static byte[] WithLength(byte type, uint length)
    {
        var header = new byte[MessageReader.HeaderSize];
        header[0] = type;
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(1), length);
        return header;
    }

    private static byte[] Raw(byte type, params byte[] body) => [.. WithLength(type, (uint)body.Length + 4), .. body];
}
