using System.Globalization;
using System.Text.Json.Serialization;

namespace Tunnel.Bench;

/// <summary>How long and how often to measure. The full run takes about 25 minutes, the quick one less than 5.</summary>
internal sealed record BenchOptions
{
    public const string Usage =
        "usage: tunnel-bench [--quick] [--suite tunnel|pooler|distance|startup|scaling|http]… [--rounds N] [--only NAME]… [--round-trip MS] [--window KIB] [--json FILE]";

    private const int KiB = 1024;

    public int Rounds { get; init; } = 5;

    /// <summary>Gets the seconds of one pgbench run.</summary>
    public int PgbenchSeconds { get; init; } = 3;

    /// <summary>Gets the seconds of one pgbench run that connects anew for each transaction.</summary>
    public int ConnectSeconds { get; init; } = 3;

    /// <summary>Gets the seconds of one bulk transfer.</summary>
    public int BulkSeconds { get; init; } = 1;

    /// <summary>Gets the seconds in which streams are opened one at a time, and again many at a time.</summary>
    public int OpenSeconds { get; init; } = 1;

    public int IdleStreams { get; init; } = 1000;

    public int IdleRounds { get; init; } = 2;

    /// <summary>Gets the clients of a pooler that are open and idle at once.</summary>
    public int IdleClients { get; init; } = 10_000;

    /// <summary>Gets how often a short-lived application is run over the distance in each round.</summary>
    public int DistanceRuns { get; init; } = 2;

    /// <summary>Gets the seconds of one run of wrk.</summary>
    public int HttpSeconds { get; init; } = 2;

    /// <summary>Gets how often each kind of connector is started.</summary>
    public int StartRounds { get; init; } = 5;

    /// <summary>Gets how often each number of streams is measured with each number of connectors.</summary>
    public int ScalingRounds { get; init; } = 2;

    /// <summary>Gets the seconds of each of these measurements.</summary>
    public int ScalingSeconds { get; init; } = 1;

    /// <summary>Gets the seconds of each load while the runtimes' counters are read.</summary>
    public int SteadySeconds { get; init; } = 60;

    /// <summary>Gets how long each of these loads goes on before they are read.</summary>
    public TimeSpan SteadyWarmUp { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Gets how often single streams over the distance are measured.</summary>
    public int FarRounds { get; init; } = 2;

    /// <summary>Gets the seconds of one bulk transfer over the distance; beginning and end cost a round trip or two of them.</summary>
    public int FarBulkSeconds { get; init; } = 5;

    /// <summary>Gets the emulated distance: the milliseconds of a byte there and back.</summary>
    public double RoundTripMilliseconds { get; init; } = 125;

    /// <summary>
    /// Gets the bytes that a connection over the distance has on the way, at most. The default is what Linux's TCP was measured to
    /// keep on the way with its default tcp_wmem, whose 4 MiB count the kernel's own structures too: 18 MiB/s over 125 ms.
    /// </summary>
    public int Window { get; init; } = 2304 * KiB;

    /// <summary>Gets whether only the most important contenders and steps are measured.</summary>
    public bool IsQuick { get; init; }

    [JsonIgnore]
    public TimeSpan ScalingDuration => TimeSpan.FromSeconds(ScalingSeconds);

    /// <summary>Gets the suites to run, all of them when empty.</summary>
    public IReadOnlyList<string> Suites { get; init; } = [];

    /// <summary>Gets the contenders to run, all of them when empty; the direct one always runs, because the ratios need it.</summary>
    public IReadOnlyList<string> Only { get; init; } = [];

    public string? JsonFile { get; init; }

    private static BenchOptions Quick => new()
    {
        IsQuick = true,
        Rounds = 1,
        PgbenchSeconds = 1,
        ConnectSeconds = 1,
        IdleRounds = 1,
        IdleClients = 1000,
        DistanceRuns = 1,
        FarRounds = 1,
        FarBulkSeconds = 3,
        StartRounds = 2,
        HttpSeconds = 1,
        ScalingRounds = 1,
        SteadySeconds = 5,
        SteadyWarmUp = TimeSpan.FromSeconds(2),
    };

    /// <exception cref="FormatException">The arguments are not understood; the message says which.</exception>
    public static BenchOptions Parse(IReadOnlyList<string> arguments, IReadOnlyList<string> suites)
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
                "--suite" => options with { Suites = suites.Contains(value) ? [.. options.Suites, value] : throw new FormatException($"there is no suite {value}, but: {string.Join(", ", suites)}") },
                "--round-trip" => options with
                {
                    RoundTripMilliseconds = double.TryParse(value, CultureInfo.InvariantCulture, out var ms) && ms is >= 0 and <= 10_000
                        ? ms : throw new FormatException("--round-trip needs a number of milliseconds from 0 to 10000"),
                },
                "--window" => options with { Window = int.TryParse(value, out var kib) && kib is > 0 and <= 1_000_000 ? kib * KiB : throw new FormatException("--window needs a number of KiB") },
                "--only" => options with { Only = [.. options.Only, value] },
                "--json" => options with { JsonFile = value },
                _ => throw new FormatException($"unknown option {name}"),
            };
        }

        return options;
    }
}
