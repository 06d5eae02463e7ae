using System.Globalization;

namespace TunnelIngress.Administration;

/// <summary>Times in tables: UTC, to the minute.</summary>
internal static class Times
{
    public static string Of(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm'Z'", CultureInfo.InvariantCulture);

    public static string Of(DateTimeOffset? time) => time is { } value ? Of(value) : "-";
}
