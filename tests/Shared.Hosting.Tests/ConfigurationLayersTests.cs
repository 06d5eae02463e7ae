using Microsoft.Extensions.Configuration;
using Shared.Hosting.Configuration;
using Shared.Hosting.Logging;

namespace Shared.Hosting.Tests;

public sealed class ConfigurationLayersTests : IDisposable
{
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"settings-{Guid.NewGuid():N}.json");
    private readonly string _prefix = $"TUNNEL_TEST_{Guid.NewGuid():N}__";

    [Fact]
    public void Flag_wins_over_environment_and_environment_over_file()
    {
        File.WriteAllText(_file, """{ "Name": "file", "Inner": { "Size": 1 }, "Count": 1 } // comment""");
        Environment.SetEnvironmentVariable($"{_prefix}NAME", "environment");
        Environment.SetEnvironmentVariable($"{_prefix}INNER__SIZE", "2");

        var options = Load(new Flag("--name", "Name", "flag"));

        Assert.Equal(("flag", 2, 1), (options.Name, options.Inner.Size, options.Count));
    }

    [Fact]
    public void Name_is_spelled_as_in_the_file_and_otherwise_as_in_the_environment()
    {
        File.WriteAllText(_file, """{ "Named": { "orders": { "Size": 1 } } }""");
        Environment.SetEnvironmentVariable($"{_prefix}NAMED__ORDERS__SIZE", "2");
        Environment.SetEnvironmentVariable($"{_prefix}NAMED__Other__SIZE", "3");

        var named = Load().Named;

        Assert.Equal([("Other", 3), ("orders", 2)], named.Select(static pair => (pair.Key, pair.Value.Size)).OrderBy(static pair => pair.Key, StringComparer.Ordinal));
    }

    [Fact]
    public void List_of_flags_replaces_the_whole_list_of_the_file()
    {
        File.WriteAllText(_file, """{ "List": ["a", "b", "c"] }""");

        Assert.Equal(["x"], Load(new Flag("--list", "List:0", "x")).List);
        Assert.Equal(["a", "b", "c"], Load().List);
    }

    [Theory]
    [InlineData("""{ "Naem": "x" }""", "Naem: There is no such key (file FILE). Did you mean Name?")]
    [InlineData("""{ "Inner": { "Sizes": 1 } }""", "Inner:Sizes: There is no such key (file FILE). Did you mean Size?")]
    [InlineData("""{ "Named": { "one": { "Size": 1, "sise": 2 } } }""", "Named:one:sise: There is no such key (file FILE). Did you mean Size?")]
    [InlineData("""{ "Outer": { "Deep": { "Size": 1 } } }""", "Outer: There is no such key (file FILE). See docs/configuration.md for all keys.")]
    [InlineData("""{ "Name": { "First": 1 } }""", "Name:First: There is no such key (file FILE). See docs/configuration.md for all keys.")]
    [InlineData("""{ "": 1 }""", ": There is no such key (file FILE). See docs/configuration.md for all keys.")]
    [InlineData("""{ "Nothing": null }""", "Nothing: There is no such key (file FILE). See docs/configuration.md for all keys.")]
    public void Unknown_key_is_named_in_full_with_its_file_and_what_was_meant(string json, string expected)
    {
        File.WriteAllText(_file, json);

        Assert.Equal([expected.Replace("FILE", _file, StringComparison.Ordinal)], Problems());
    }

    [Fact]
    public void Unknown_variable_is_named_as_it_is_written()
    {
        File.WriteAllText(_file, "{}");
        Environment.SetEnvironmentVariable($"{_prefix}INNER__SIZZE", "1");

        Assert.Equal([$"INNER:SIZZE: There is no such key (environment variable {_prefix}INNER__SIZZE). Did you mean Size?"], Problems());
    }

    [Fact]
    public void All_mistakes_are_named_at_once()
    {
        File.WriteAllText(_file, """{ "Count": "many", "Inner": { "Size": true, "Bogus": 1 }, "List": "x", "Log": { "Level": "loud" } }""");
        var problems = Problems(new Flag("--format", "Log:Format", "xml"), new Flag("--quiet", "Quiet", "yes"));

        Assert.Equal(
        [
            $"Count: 'many' cannot be used (file {_file}); write a whole number.",
            $"Inner:Bogus: There is no such key (file {_file}). See docs/configuration.md for all keys.",
            $"Inner:Size: 'True' cannot be used (file {_file}); write a whole number.",
            $"List: This is a list or a group of keys, not one value (file {_file}). The first of a list is List:0.",
            "Log:Format: 'xml' cannot be used (option --format); write text or json.",
            $"Log:Level: 'loud' cannot be used (file {_file}); write Trace, Debug, Information, Warning or Error.",
            "Quiet: 'yes' cannot be used (option --quiet); write true or false.",
        ], problems.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Everything_that_there_is_may_be_written()
    {
        File.WriteAllText(_file, """
            { "Name": "", "Count": 1, "List": [], "Quiet": true, "Inner": { "Size": 2 }, "Named": { "a": { "Size": 3 } }, "Log": { "Level": "debug", "Format": "json" } }
            """);
        var options = Load();

        Assert.Equal((1, true, 2, 3, LogFormat.Json), (options.Count, options.Quiet, options.Inner.Size, options.Named["a"].Size, options.Log.Format));
        Assert.Empty(options.List);
    }

    [Fact]
    public void Key_that_is_written_twice_is_named()
    {
        File.WriteAllText(_file, """{ "Count": 1, "count": 2 }""");

        Assert.Contains("count", Assert.Single(Problems()), StringComparison.Ordinal);
    }

    [Fact]
    public void Later_load_tells_what_has_changed_since_the_first()
    {
        File.WriteAllText(_file, """{ "Name": "a", "Count": 1, "List": ["a"], "Inner": { "Size": 1 } }""");
        var layers = Layers();
        Read(layers);
        Assert.Empty(layers.ChangedBeside());

        File.WriteAllText(_file, """{ "Name": "a", "List": ["a", "b"], "Inner": { "Size": 2 }, "Quiet": true }""");
        Read(layers);
        Assert.Equal(["Count", "Inner:Size", "List", "Quiet"], layers.ChangedBeside().Order(StringComparer.Ordinal));
        Assert.Equal(["Count", "Quiet"], layers.ChangedBeside("List", "inner").Order(StringComparer.Ordinal));
        Assert.Equal(["Inner:Size"], layers.ChangedWithin("Inner", "Lis"));

        File.WriteAllText(_file, """{ "Name": "a", "Count": 1, "List": ["a"], "Inner": { "Size": 1 } }""");
        Read(layers);
        Assert.Empty(layers.ChangedBeside());
    }

    [Fact]
    public void Variable_with_a_single_underscore_is_not_ours()
    {
        File.WriteAllText(_file, "{}");
        Environment.SetEnvironmentVariable($"{_prefix[..^2]}_SERVICE_HOST", "10.0.0.1");

        Assert.Equal("", Load().Name);
    }

    [Theory]
    [InlineData("{ \"Name\": ", "line 1")]
    [InlineData("[]", "one JSON object")]
    public void Broken_file_is_an_error_that_names_it(string content, string expected)
    {
        File.WriteAllText(_file, content);
        var exception = Assert.Throws<ConfigurationException>(() => Load());

        Assert.Contains(_file, exception.Message, StringComparison.Ordinal);
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_file_is_an_error_that_names_it() =>
        Assert.Contains(_file, Assert.Throws<ConfigurationException>(() => Load()).Message, StringComparison.Ordinal);

    public void Dispose()
    {
        File.Delete(_file);
        foreach (string variable in Environment.GetEnvironmentVariables().Keys)
        {
            if (variable.StartsWith(_prefix[..^2], StringComparison.Ordinal))
            {
                Environment.SetEnvironmentVariable(variable, null);
            }
        }
    }

    private static Sample Read(ConfigurationLayers layers) => layers.Load(static configuration => configuration.Get<Sample>());

    private ConfigurationLayers Layers(params Flag[] flags) => new(_prefix, _file, flags);

    private Sample Load(params Flag[] flags) => Read(Layers(flags));

    private IReadOnlyList<string> Problems(params Flag[] flags) => Assert.Throws<ConfigurationException>(() => Load(flags)).Problems;

    internal sealed class Sample
    {
        public string Name { get; set; } = "";

        public int Count { get; set; }

        public bool Quiet { get; set; }

        public List<string> List { get; set; } = [];

        public SampleInner Inner { get; set; } = new();

        public Dictionary<string, SampleInner> Named { get; set; } = [];

        public LogOptions Log { get; set; } = new();
    }

    internal sealed class SampleInner
    {
        public int Size { get; set; }
    }
}
