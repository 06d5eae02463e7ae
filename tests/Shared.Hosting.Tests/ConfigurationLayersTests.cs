using Microsoft.Extensions.Configuration;
using Shared.Hosting.Configuration;

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

        var options = Load(KeyValuePair.Create<string, string?>("Name", "flag"));

        Assert.Equal(("flag", 2, 1), (options.Name, options.Inner.Size, options.Count));
    }

    [Fact]
    public void List_of_flags_replaces_the_whole_list_of_the_file()
    {
        File.WriteAllText(_file, """{ "List": ["a", "b", "c"] }""");

        Assert.Equal(["x"], Load(KeyValuePair.Create<string, string?>("List:0", "x")).List);
        Assert.Equal(["a", "b", "c"], Load().List);
    }

    [Theory]
    [InlineData("""{ "Nmae": "x" }""", "Nmae")]
    [InlineData("""{ "Inner": { "Siez": 1 } }""", "Siez")]
    public void Unknown_key_of_the_file_is_an_error_that_names_it(string json, string key)
    {
        File.WriteAllText(_file, json);

        Assert.Contains(key, Assert.Throws<ConfigurationException>(() => Load()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Unknown_variable_is_an_error_that_names_it()
    {
        File.WriteAllText(_file, "{}");
        Environment.SetEnvironmentVariable($"{_prefix}NMAE", "x");

        Assert.Contains("NMAE", Assert.Throws<ConfigurationException>(() => Load()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Variable_with_a_single_underscore_is_not_ours()
    {
        File.WriteAllText(_file, "{}");
        Environment.SetEnvironmentVariable($"{_prefix[..^2]}_SERVICE_HOST", "10.0.0.1");

        Assert.Equal("", Load().Name);
    }

    [Theory]
    [InlineData("""{ "Count": "many" }""", "Count")]
    [InlineData("""{ "Inner": { "Size": true } }""", "Inner:Size")]
    public void Value_of_the_wrong_kind_is_an_error_that_names_the_key(string json, string key)
    {
        File.WriteAllText(_file, json);

        Assert.Contains(key, Assert.Throws<ConfigurationException>(() => Load()).Message, StringComparison.Ordinal);
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

    private Sample Load(params KeyValuePair<string, string?>[] flags) =>
        new ConfigurationLayers(_prefix, _file, flags).Load(static (configuration, binder) => configuration.Get<Sample>(binder));

    internal sealed class Sample
    {
        public string Name { get; set; } = "";

        public int Count { get; set; }

        public List<string> List { get; set; } = [];

        public SampleInner Inner { get; set; } = new();
    }

    internal sealed class SampleInner
    {
        public int Size { get; set; }
    }
}
