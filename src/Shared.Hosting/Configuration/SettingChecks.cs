using Shared.Streams.Dialing;
using Shared.Streams.Sockets;

namespace Shared.Hosting.Configuration;

/// <summary>The checks that programs' settings share. Each failure is a <see cref="ConfigurationException"/> that names the key.</summary>
public static class SettingChecks
{
    /// <summary>A number within bounds.</summary>
    public static int Within(string key, int value, int least, int most) => value >= least && value <= most
        ? value
        : throw new ConfigurationException(key, $"{value} is out of range; write {least} to {most}.");

    /// <summary>A time in whole seconds, within bounds.</summary>
    public static TimeSpan Seconds(string key, int value, int least, int most) => TimeSpan.FromSeconds(Within(key, value, least, most));

    /// <summary>The roots of a CA file, or the system's when none is named.</summary>
    /// <param name="key">The key.</param>
    /// <param name="caFile">Its value.</param>
    /// <param name="flag">The flag that sets it, if there is one.</param>
    public static CertificateTrust Trust(string key, string? caFile, string? flag = null)
    {
        try
        {
            var trust = string.IsNullOrEmpty(caFile) ? CertificateTrust.System : CertificateTrust.FromFile(caFile);
            return trust.ChosenBy(flag is null ? key : $"{flag} ({key})");
        }
        catch (IOException exception)
        {
            throw new ConfigurationException(key, exception.Message, exception);
        }
    }

    /// <summary>An address to listen on.</summary>
    public static ListenAddress Address(string key, string text) => Parsed(key, () => ListenAddress.Parse(text));

    /// <summary>A text in a form that its parser explains.</summary>
    public static T Parsed<T>(string key, Func<T> parse)
    {
        try
        {
            return parse();
        }
        catch (FormatException exception)
        {
            throw new ConfigurationException(key, exception.Message, exception);
        }
    }
}
