using Microsoft.Extensions.Configuration;

namespace Shared.Hosting.Configuration;

/// <summary>
/// Which keys a binder has asked a configuration for, and which values it has read: a key that it never asked for is none of the program's, and
/// those it asked for beside that one are what may have been meant.
/// </summary>
internal sealed class AskedKeys
{
    private readonly HashSet<string> _asked = new(StringComparer.OrdinalIgnoreCase);
    private readonly HashSet<string> _read = new(StringComparer.OrdinalIgnoreCase);
    private readonly HashSet<string> _hidden = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The key whose value was read last.</summary>
    public string? LastRead { get; private set; }

    /// <summary>Notes that a key is known.</summary>
    public void Ask(string key) => _asked.Add(key);

    /// <summary>Notes that a key's value is read.</summary>
    /// <returns>The value; null when it is hidden.</returns>
    public string? Read(string key, string? value)
    {
        Ask(key);
        _read.Add(key);
        LastRead = key;
        return _hidden.Contains(key) ? null : value;
    }

    /// <summary>Lets a value that cannot be used seem not to be there.</summary>
    /// <returns>False when it was hidden already.</returns>
    public bool Hide(string key) => _hidden.Add(key);

    /// <summary>Whether a key's value was read.</summary>
    public bool IsRead(string key) => _read.Contains(key);

    /// <summary>The first part of a key that is unknown, from its beginning on; null when all of it is known.</summary>
    public string? UnknownIn(string key)
    {
        if (key.Length == 0)
        {
            return key;
        }

        for (var end = 0; end >= 0;)
        {
            end = key.IndexOf(':', end + 1);
            var part = end < 0 ? key : key[..end];
            if (!_asked.Contains(part))
            {
                return part;
            }
        }

        return null;
    }

    /// <summary>The names that are known where a key is.</summary>
    public IEnumerable<string> NamesBeside(string key)
    {
        var parent = ConfigurationPath.GetParentPath(key);
        return _asked
            .Where(asked => asked.Length > 0 && string.Equals(ConfigurationPath.GetParentPath(asked), parent, StringComparison.OrdinalIgnoreCase))
            .Select(ConfigurationPath.GetSectionKey)!;
    }
}
