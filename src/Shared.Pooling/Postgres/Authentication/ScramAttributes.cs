using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Authentication;

/// <summary>Reads SCRAM messages: attributes in a fixed order, separated by commas. Source: RFC 5802 section 7.</summary>
/// <param name="message">The message.</param>
internal ref struct ScramAttributes(string message)
{
    /// <summary>No message of an honest peer comes near it, in characters.</summary>
    public const int MaxLength = 4096;

    private ReadOnlySpan<char> _rest = message;
    private bool _first = true;

    /// <summary>True when all was read.</summary>
    public readonly bool IsEmpty => _rest.IsEmpty;

    /// <summary>The value of the next attribute, which must be this one.</summary>
    /// <exception cref="ProtocolViolationException">It is another, or there is none.</exception>
    public string Next(char name)
    {
        var rest = _rest;
        if (!_first)
        {
            rest = rest.IsEmpty || rest[0] != ',' ? default : rest[1..];
        }

        if (rest.Length < 2 || rest[0] != name || rest[1] != '=')
        {
            throw new ProtocolViolationException($"malformed SCRAM message: attribute \"{name}\" expected");
        }

        rest = rest[2..];
        var comma = rest.IndexOf(',');
        var value = comma < 0 ? rest : rest[..comma];
        _rest = comma < 0 ? default : rest[comma..];
        _first = false;
        return value.ToString();
    }

    /// <exception cref="ProtocolViolationException">Something is left.</exception>
    public readonly void End()
    {
        if (!_rest.IsEmpty)
        {
            throw new ProtocolViolationException("malformed SCRAM message: more than expected");
        }
    }
}
