using System.Security.Cryptography.X509Certificates;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>What a client has asked for, before it is known whether it is who it says.</summary>
internal sealed record ClientStartup
{
    /// <summary>Its incoming side, on the encrypted stream where it asked for that.</summary>
    public required MessageReader Reader { get; init; }

    /// <summary>The user it says it is.</summary>
    public required string User { get; init; }

    /// <summary>The database; the user's name when it named none, as PostgreSQL does it.</summary>
    public required string Database { get; init; }

    /// <summary>The settings it asked for, in order; names in lower case.</summary>
    public required IReadOnlyList<KeyValuePair<string, string>> Settings { get; init; }

    /// <summary>The minor version of the protocol that is spoken: 0 or 2.</summary>
    public required int Minor { get; init; }

    /// <summary>How it wants to replicate: "true" or "database"; null for an ordinary client.</summary>
    public string? Replication { get; init; }

    /// <summary>The hostname it asked for in TLS; null without.</summary>
    public string? ServerName { get; init; }

    /// <summary>True when it is encrypted.</summary>
    public bool IsEncrypted { get; init; }

    /// <summary>Our certificate, for channel binding; null without TLS.</summary>
    public X509Certificate? LocalCertificate { get; init; }

    /// <summary>Its certificate, whose chain has been verified; null when it gave none.</summary>
    public X509Certificate2? ClientCertificate { get; init; }
}

/// <summary>A request to cancel what runs for another connection.</summary>
/// <param name="ProcessId">Which.</param>
/// <param name="Key">Its secret.</param>
internal sealed record CancelRequest(int ProcessId, byte[] Key);
