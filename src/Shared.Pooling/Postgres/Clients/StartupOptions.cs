using System.Text;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>
/// Reads the startup parameter "options": command-line words of the form -c name=value or --name=value, where a backslash keeps a space
/// in a word. Source: PostgreSQL documentation, "StartupMessage"; pg_split_opts in src/backend/utils/init/postinit.c.
/// </summary>
internal static class StartupOptions
{
    /// <exception cref="HandshakeRefusedException">It holds something else.</exception>
    public static void Read(string options, List<KeyValuePair<string, string>> settings)
    {
        var words = Split(options);
        for (var i = 0; i < words.Count; i++)
        {
            var word = words[i];
            string setting;
            if (word is "-c" && i + 1 < words.Count)
            {
                setting = words[++i];
            }
            else if (word.StartsWith("-c", StringComparison.Ordinal) || word.StartsWith("--", StringComparison.Ordinal))
            {
                setting = word[2..];
            }
            else
            {
                throw Refused($"unsupported command-line option in startup options: {word}");
            }

            var equals = setting.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
            {
                throw Refused($"-c {setting} requires a name and a value");
            }

            settings.Add(new(setting[..equals].Replace('-', '_').ToLowerInvariant(), setting[(equals + 1)..]));
        }
    }

    private static List<string> Split(string options)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        var inWord = false;
        for (var i = 0; i < options.Length; i++)
        {
            var c = options[i];
            if (char.IsWhiteSpace(c))
            {
                if (inWord)
                {
                    words.Add(word.ToString());
                    word.Clear();
                    inWord = false;
                }

                continue;
            }

            if (c == '\\' && i + 1 < options.Length)
            {
                c = options[++i];
            }

            inWord = true;
            word.Append(c);
        }

        if (inWord)
        {
            words.Add(word.ToString());
        }

        return words;
    }

    private static HandshakeRefusedException Refused(string message) => new(PostgresError.Fatal(SqlState.SyntaxError, message));
}
