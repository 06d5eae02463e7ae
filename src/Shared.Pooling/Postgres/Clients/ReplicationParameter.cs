using System.Text;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>
/// The startup parameter "replication": a boolean in any spelling that PostgreSQL takes, or "database". Source: ProcessStartupPacket in
/// src/backend/tcop/backend_startup.c, parse_bool in src/backend/utils/adt/bool.c.
/// </summary>
internal static class ReplicationParameter
{
    private const string WithDatabase = "database";

    /// <returns>What the server is to be asked for, spelled out; null for an ordinary connection.</returns>
    /// <exception cref="HandshakeRefusedException">It is neither.</exception>
    public static string? Read(string value) => value == WithDatabase ? value : IsTrue(value) ? "true" : IsFalse(value) ? null : throw Refused(value);

    private static bool IsTrue(string value) => value == "1" || Begins("true", value, 1) || Begins("yes", value, 1) || Begins("on", value, 2);

    private static bool IsFalse(string value) => value == "0" || Begins("false", value, 1) || Begins("no", value, 1) || Begins("off", value, 2);

    // The beginning of a word is enough where no other begins so.
    private static bool Begins(string word, string value, int unique) =>
        value.Length >= unique && value.Length <= word.Length && Ascii.EqualsIgnoreCase(value, word.AsSpan(0, value.Length));

    private static HandshakeRefusedException Refused(string value) => new(
        PostgresError.Fatal(SqlState.InvalidParameterValue, $"invalid value for parameter \"replication\": \"{value}\"") with
        {
            Hint = "Valid values are: \"false\", 0, \"true\", 1, \"database\".",
        });
}
