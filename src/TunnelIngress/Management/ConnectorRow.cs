using System.Text.Json;
using TunnelIngress.Connectors;

namespace TunnelIngress.Management;

/// <summary>A connector as <c>/connectors</c> shows it.</summary>
/// <param name="Tunnel">The tunnel that it serves.</param>
/// <param name="Name">What it is called, across restarts; null when it does not say.</param>
/// <param name="Connector">Its process's own id, another one after a restart.</param>
/// <param name="Session">Its session, as in the log.</param>
/// <param name="Token">The client id of the token that it registered with.</param>
/// <param name="From">Where it is.</param>
/// <param name="Since">When it registered.</param>
/// <param name="State">Active, or draining: it gets no new streams.</param>
/// <param name="Services">The services that it has announced.</param>
/// <param name="Streams">How many streams it carries or opens now.</param>
internal sealed record ConnectorRow(
    string Tunnel, string? Name, string Connector, string Session, string Token, string From, DateTimeOffset Since, string State, IReadOnlyList<string> Services, int Streams)
{
    /// <summary>For people with curl as much as for programs.</summary>
    public static JsonSerializerOptions Form { get; } = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>All that are registered now, by tunnel, the oldest first.</summary>
    public static IEnumerable<ConnectorRow> Of(ConnectorRegistry connectors) => connectors.All
        .OrderBy(static session => session.Tunnel, StringComparer.Ordinal)
        .ThenBy(static session => session.Since)
        .Select(static session => new ConnectorRow(
            session.Tunnel,
            session.Name,
            session.Connector,
            session.Id,
            session.TokenId,
            session.From,
            session.Since,
            session.IsActive ? "active" : "draining",
            [.. session.Services.Order(StringComparer.Ordinal)],
            session.Load));
}
