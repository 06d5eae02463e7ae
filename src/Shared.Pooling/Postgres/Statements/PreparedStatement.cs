using System.Globalization;
using System.Text;
using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Sql;

namespace Shared.Pooling.Postgres.Statements;

/// <summary>
/// A statement that clients have prepared, known by its text, its parameter types and the settings it was parsed under, not by any
/// client's name for it. All clients of a pool that prepare the same one share it. Safe for concurrent use.
/// </summary>
internal sealed class PreparedStatement
{
    private readonly byte[] _definition;

    private PreparedStatement(byte[] serverName, byte[] definition, string meaning, SqlEffect[]? effects)
    {
        (ServerName, _definition, Meaning, Effects) = (serverName, definition, meaning, effects);
        Size = definition.Length + SqlEffects.SizeOf(effects);
    }

    /// <summary>Begins the names that server connections know statements by; no client's own name is taken for one.</summary>
    public static ReadOnlySpan<byte> NamePrefix => "tunnel_"u8;

    /// <summary>A name that no server connection knows.</summary>
    public static ReadOnlySpan<byte> NoSuchName => "tunnel_?"u8;

    /// <summary>Its name on server connections, without the terminating zero; empty for an unnamed one.</summary>
    public byte[] ServerName { get; }

    /// <summary>What follows the name in a Parse message: the text, a zero, the parameter types.</summary>
    public ReadOnlySpan<byte> Definition => _definition;

    /// <summary>About how many bytes of memory it takes.</summary>
    public long Size { get; }

    /// <summary>The settings that give the text its meaning; see <see cref="StatementRegistry.Intern"/>.</summary>
    public string Meaning { get; }

    /// <summary>True once a server has taken it: it is not wrong, so another client's Parse of it can be answered without asking.</summary>
    public bool IsProven { get; set; }

    /// <summary>What executing it does to the session; null when nothing.</summary>
    public SqlEffect[]? Effects { get; }

    /// <summary>A statement that server connections know by a name.</summary>
    /// <param name="id">Unique within the pool.</param>
    /// <param name="definition">What follows the name in a Parse message.</param>
    /// <param name="meaning">The settings that give it its meaning.</param>
    /// <param name="standardConformingStrings">How its literals are read.</param>
    /// <exception cref="ProtocolViolationException">The definition is malformed.</exception>
    public static PreparedStatement Named(long id, ReadOnlySpan<byte> definition, string meaning, bool standardConformingStrings) =>
        new([.. NamePrefix, .. Encoding.ASCII.GetBytes(id.ToString("x", CultureInfo.InvariantCulture))],
            definition.ToArray(), meaning, EffectsOf(definition, standardConformingStrings));

    /// <summary>A statement without a name.</summary>
    /// <exception cref="ProtocolViolationException">The definition is malformed.</exception>
    public static PreparedStatement Unnamed(ReadOnlySpan<byte> definition, bool standardConformingStrings) =>
        new([], definition.ToArray(), "", EffectsOf(definition, standardConformingStrings));

    /// <summary>Writes the Parse message for a server connection.</summary>
    public void WriteParse(MessageWriter writer) => writer.Begin(FrontendMessage.Parse).CString(ServerName).Bytes(_definition).End();

    private static SqlEffect[]? EffectsOf(ReadOnlySpan<byte> definition, bool standardConformingStrings)
    {
        var effects = new SqlEffects();
        SqlScanner.Scan(new BodyReader(definition).CString(), standardConformingStrings, effects);
        return effects.Count == 0 ? null : effects.ToArray();
    }
}
