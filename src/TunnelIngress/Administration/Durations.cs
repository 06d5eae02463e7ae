using System.Globalization;

namespace TunnelIngress.Administration;

/// <summary>Spans of time as people write them: 90d, 12h, 30m, 45s.</summary>
internal static class Durations
{
    /// <summary>Reads a span; false when the text is none or more than 100 years.</summary>
    public static bool TryParse(string text, out TimeSpan span)
    {
        span = default;
        if (text.Length < 2 || !int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            return false;
        }

        var unit = text[^1] switch
        {
            'd' => TimeSpan.FromDays(1),
            'h' => TimeSpan.FromHours(1),
            'm' => TimeSpan.FromMinutes(1),
            's' => TimeSpan.FromSeconds(1),
            _ => TimeSpan.Zero,
        };
        if (unit == TimeSpan.Zero || number > TimeSpan.FromDays(36_525) / unit)
        {
            return false;
        }

        span = unit * number;
        return true;
    }
}
