namespace Tunnel.Bench;

/// <summary>How long and how often to measure. The full run takes 10 to 15 minutes, the quick one less than 3.</summary>
internal sealed record BenchOptions
{
    public const string Usage = "usage: tunnel-bench [--quick] [--rounds N] [--only NAME]… [--json FILE]";

    public int Rounds { get; init; } = 5;

    /// <summary>Gets the seconds of one pgbench run.</summary>
    public int PgbenchSeconds { get; init; } = 5;

    /// <summary>Gets the seconds of one pgbench run that connects anew for each transaction.</summary>
    public int ConnectSeconds { get; init; } = 4;

    /// <summary>Gets the seconds of one bulk transfer.</summary>
    public int BulkSeconds { get; init; } = 2;

    public int IdleStreams { get; init; } = 1000;

    public int IdleRounds { get; init; } = 3;

    /// <summary>Gets the contenders to run, all of them when empty; direct TCP always runs, because the ratios need it.</summary>
    public IReadOnlyList<string> Only { get; init; } = [];

    public string? JsonFile { get; init; }

    private static BenchOptions Quick => new() { Rounds = 3, PgbenchSeconds = 1, ConnectSeconds = 1, BulkSeconds = 1, IdleRounds = 1 };

    /// <exception cref="FormatException">The arguments are not understood; the message says which.</exception>
    public static BenchOptions Parse(IReadOnlyList<string> arguments)
    {
        var options = arguments.Contains("--quick") ? Quick : new BenchOptions();
        for (var i = 0; i < arguments.Count; i++)
        {
            var name = arguments[i];
            if (name == "--quick")
            {
                continue;
            }

            var value = ++i < arguments.Count ? arguments[i] : throw new FormatException($"{name} needs a value");
            options = name switch
            {
                "--rounds" => options with { Rounds = int.TryParse(value, out var n) && n is > 0 and < 100 ? n : throw new FormatException("--rounds needs a number from 1 to 99") },
                "--only" => options with { Only = [.. options.Only, value] },
                "--json" => options with { JsonFile = value },
                _ => throw new FormatException($"unknown option {name}"),
            };
        }

        return options;
    }
}
