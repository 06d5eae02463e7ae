using Shared.Hosting.Configuration;

namespace Shared.Pooling.Hosting;

/// <summary>A password that is in a file or in the environment, never on the command line.</summary>
public static class PasswordSetting
{
    /// <summary>Reads it.</summary>
    /// <param name="fileKey">The key, or the option, that names the file.</param>
    /// <param name="file">The file.</param>
    /// <param name="password">The password from the environment.</param>
    /// <returns>The password; null when none is given.</returns>
    /// <exception cref="ConfigurationException">The file cannot be read.</exception>
    public static string? Read(string fileKey, string? file, string? password)
    {
        if (string.IsNullOrEmpty(file))
        {
            return string.IsNullOrEmpty(password) ? null : password;
        }

        try
        {
            return File.ReadAllText(file).TrimEnd('\r', '\n');
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException(fileKey, $"The password file {file} cannot be read: {exception.Message}", exception);
        }
    }
}
