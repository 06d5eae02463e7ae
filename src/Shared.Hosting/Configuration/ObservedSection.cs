using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Primitives;

namespace Shared.Hosting.Configuration;

/// <summary>A configuration, or a section of it, that notes what it is asked for.</summary>
/// <param name="inner">What answers.</param>
/// <param name="path">The key; empty for all of a configuration.</param>
/// <param name="asked">Where it is noted.</param>
internal sealed class ObservedSection(IConfiguration inner, string path, AskedKeys asked) : IConfigurationSection
{
    /// <inheritdoc/>
    public string Key => ConfigurationPath.GetSectionKey(path) ?? "";

    /// <inheritdoc/>
    public string Path => path;

    /// <inheritdoc/>
    public string? Value
    {
        get => asked.Read(path, (inner as IConfigurationSection)?.Value);
        set => throw new NotSupportedException("A configuration is read only.");
    }

    /// <inheritdoc/>
    public string? this[string key]
    {
        get
        {
            asked.Ask(path);
            return asked.Read(Below(key), inner[key]);
        }

        set => throw new NotSupportedException("A configuration is read only.");
    }

    /// <inheritdoc/>
    public IConfigurationSection GetSection(string key)
    {
        asked.Ask(path);
        asked.Ask(Below(key));
        return new ObservedSection(inner.GetSection(key), Below(key), asked);
    }

    /// <summary>The sections below, of which none is known by that: whoever knows them goes on to ask them.</summary>
    public IEnumerable<IConfigurationSection> GetChildren()
    {
        asked.Ask(path);
        return inner.GetChildren().Select(child => new ObservedSection(child, Below(child.Key), asked));
    }

    /// <inheritdoc/>
    public IChangeToken GetReloadToken() => inner.GetReloadToken();

    private string Below(string key) => path.Length == 0 ? key : ConfigurationPath.Combine(path, key);
}
