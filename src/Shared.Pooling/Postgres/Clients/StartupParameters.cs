using System.Text;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>Reads the parameters of a startup message. Source: PostgreSQL documentation, "StartupMessage".</summary>
internal static class StartupParameters
{
    private const int LongestName = 63;

    /// <param name="packet">The message behind its version.</param>
    /// <param name="unknown">The protocol options (_pq_.…) it asks for; none is known here.</param>
    /// <exception cref="HandshakeRefusedException">A parameter is impossible.</exception>
    /// <exception cref="ProtocolViolationException">It is malformed.</exception>
    public static ClientStartup Read(ReadOnlySpan<byte> packet, out IReadOnlyList<string> unknown)
    {
        string? user = null, database = null, replication = null, options = null;
        var settings = new List<KeyValuePair<string, string>>();
        var protocolOptions = new List<string>();
        var fields = new BodyReader(packet);
        for (var name = Text(fields.CString()); name.Length > 0; name = Text(fields.CString()))
        {
            var value = Text(fields.CString());
            switch (name)
            {
                case "user":
                    user = value;
                    break;
                case "database":
                    database = value;
                    break;
                case "options":
                    options = value;
                    break;
                case "replication":
                    replication = ReplicationParameter.Read(value);
                    break;
                default:
                    if (name.StartsWith("_pq_.", StringComparison.Ordinal))
                    {
                        protocolOptions.Add(name);
                    }
                    else
                    {
                        settings.Add(new(name.ToLowerInvariant(), value));
                    }

                    break;
            }
        }

        if (!fields.IsEmpty)
        {
            throw new ProtocolViolationException("invalid startup packet layout: expected terminator as last byte");
        }

        if (string.IsNullOrEmpty(user))
        {
            throw new HandshakeRefusedException(PostgresError.Fatal(SqlState.InvalidAuthorization, "no PostgreSQL user name specified in startup packet"));
        }

        // Options come first, so that a parameter of the message itself wins, as in PostgreSQL.
        var all = new List<KeyValuePair<string, string>>();
        if (options is not null)
        {
            StartupOptions.Read(options, all);
        }

        all.AddRange(settings);
        if (all.Find(static setting => IsNoSetting(setting.Key)).Key is { } reserved)
        {
            throw new HandshakeRefusedException(PostgresError.Fatal(SqlState.UndefinedObject, $"unrecognized configuration parameter \"{reserved}\""));
        }

        unknown = protocolOptions;
        return new ClientStartup
        {
            Reader = null!,
            User = Truncate(user),
            Database = Truncate(string.IsNullOrEmpty(database) ? user : database),
            Settings = all,
            Minor = 0,
            Replication = replication,
        };
    }

    // In the startup message of a connection for replication they would be more than settings: another user's name, for one.
    private static bool IsNoSetting(string name) => name is "user" or "database" or "options" or "replication";

    private static string Truncate(string name) => Encoding.UTF8.GetByteCount(name) <= LongestName ? name : name[..Math.Min(name.Length, LongestName)];

    private static string Text(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes);
}
