namespace Shared.Hosting.Configuration;

/// <summary>The configuration is wrong. The message names the key, what is wrong with it and what to write instead; never a secret.</summary>
public sealed class ConfigurationException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="key">The key, e.g. <c>Ingress:0</c>.</param>
    /// <param name="message">What is wrong and what to write.</param>
    /// <param name="innerException">The cause, if any.</param>
    public ConfigurationException(string key, string message, Exception? innerException = null)
        : base(key.Length == 0 ? message : $"{key}: {message}", innerException)
    {
        Problems = [Message];
    }

    /// <summary>Creates the exception for several mistakes.</summary>
    /// <param name="problems">For each the key, what is wrong and what to write.</param>
    public ConfigurationException(IReadOnlyList<string> problems)
        : base(string.Join(' ', problems))
    {
        Problems = problems;
    }

    /// <summary>Each mistake.</summary>
    public IReadOnlyList<string> Problems { get; }
}
