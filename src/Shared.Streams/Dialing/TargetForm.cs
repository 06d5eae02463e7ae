namespace Shared.Streams.Dialing;

/// <summary>Which targets a setting takes, and how an error shows them.</summary>
/// <param name="Noun">What such a target is called.</param>
/// <param name="Schemes">Of tcp, tls, unix, http and https those that may be written.</param>
/// <param name="Listed">All schemes of the setting, for people.</param>
/// <param name="Examples">What to write.</param>
public sealed record TargetForm(string Noun, IReadOnlyList<string> Schemes, string Listed, string Examples)
{
    /// <summary>What a connector serves.</summary>
    public static TargetForm Service { get; } = new(
        "a target", ["tcp", "tls", "unix", "http", "https"], "tcp, tls, unix, http or https",
        "tcp://10.0.1.5:5432, tls://db.internal:5432, unix:///run/postgresql/.s.PGSQL.5432 or http://grafana.internal:3000");

    internal FormatException Bad(string text, string why) => new($"'{text}' is not {Noun}: {why}. Write {Examples}.");
}
