namespace Shared.Hosting.Configuration;

/// <summary>A key that the command line sets.</summary>
/// <param name="Option">The option that does, e.g. <c>--grace</c>.</param>
/// <param name="Key">The key.</param>
/// <param name="Value">Its value.</param>
public sealed record Flag(string Option, string Key, string Value);
