using System.CommandLine;
using System.Globalization;
using Shared.Hosting.Configuration;

namespace Shared.Hosting.CommandLine;

/// <summary>The flags that every long-running command has, and how flags become configuration keys.</summary>
public sealed class RunOptions
{
    /// <summary>The flag of the lowest level that is written.</summary>
    public const string LogLevel = "--log-level";

    private readonly List<Func<ParseResult, IEnumerable<Flag>>> _flags = [];
    private readonly Command _command;

    /// <summary>Adds the common flags to a command.</summary>
    public RunOptions(Command command)
    {
        _command = command;
        Config = new Option<string?>("--config") { Description = "JSON configuration file", HelpName = "FILE" };
        command.Options.Add(Config);
        Value("--grace", "GraceSeconds", "Seconds that running streams get to finish after SIGTERM", "SECONDS");
        Value("--log-format", "Log:Format", "text or json", "FORMAT");
        Value(LogLevel, "Log:Level", "Trace, Debug, Information, Warning or Error", "LEVEL");
    }

    /// <summary>The --config flag.</summary>
    public Option<string?> Config { get; }

    /// <summary>Adds a flag that sets one key.</summary>
    public void Value(string name, string key, string description, string helpName)
    {
        var option = new Option<string?>(name) { Description = description, HelpName = helpName };
        _command.Options.Add(option);
        _flags.Add(result => result.GetValue(option) is { } value ? [new(name, key, value)] : []);
    }

    /// <summary>Adds a flag without a value that sets one key to true.</summary>
    public void Switch(string name, string key, string description)
    {
        var option = new Option<bool>(name) { Description = description };
        _command.Options.Add(option);
        _flags.Add(result => result.GetValue(option) ? [new(name, key, "true")] : []);
    }

    /// <summary>Adds a flag that may be given several times and sets the keys <c>key:0</c>, <c>key:1</c> …</summary>
    public void List(string name, string key, string description, string helpName)
    {
        var option = ListOption(name, description, helpName);
        _flags.Add(result => Values(result, option).Select((value, index) =>
            new Flag(name, $"{key}:{index.ToString(CultureInfo.InvariantCulture)}", value)));
    }

    /// <summary>Adds a flag of the form NAME=VALUE that may be given several times; each is turned into keys.</summary>
    public void Pairs(string name, string description, string helpName, Func<int, string, string, IEnumerable<(string Key, string Value)>> keys)
    {
        var option = ListOption(name, description, helpName);
        option.Validators.Add(result =>
        {
            foreach (var token in result.Tokens)
            {
                if (token.Value.IndexOf('=', StringComparison.Ordinal) is 0 or -1)
                {
                    result.AddError($"{name} takes {helpName}, not '{token.Value}'.");
                }
            }
        });
        _flags.Add(result => Values(result, option).SelectMany((value, index) =>
        {
            var equals = value.IndexOf('=', StringComparison.Ordinal);
            return keys(index, value[..equals], value[(equals + 1)..]).Select(pair => new Flag(name, pair.Key, pair.Value));
        }));
    }

    /// <summary>The keys and values of the flags that were given.</summary>
    public IReadOnlyList<Flag> Flags(ParseResult result) => [.. _flags.SelectMany(flag => flag(result))];

    private static string[] Values(ParseResult result, Option<string[]> option) => result.GetValue(option) ?? [];

    private Option<string[]> ListOption(string name, string description, string helpName)
    {
        var option = new Option<string[]>(name) { Description = description, HelpName = helpName, Arity = ArgumentArity.OneOrMore };
        _command.Options.Add(option);
        return option;
    }
}
