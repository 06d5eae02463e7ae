namespace TunnelIngress;

/// <summary>Every line the running ingress writes. Ids 1500-1599; state, certificates and access have their own.</summary>
internal static partial class IngressLog
{
    [LoggerMessage(1500, LogLevel.Information, "Listening on {Address} for applications and connectors", EventName = "IngressListening")]
    public static partial void Listening(this ILogger logger, string address);

    [LoggerMessage(1501, LogLevel.Information, "Management on {Address}: /healthz /readyz /metrics /connectors", EventName = "ManagementListening")]
    public static partial void ManagementListening(this ILogger logger, string address);

    [LoggerMessage(1502, LogLevel.Information, "Listening on {Address} for service {Service}, without a token", EventName = "LocalListening")]
    public static partial void LocalListening(this ILogger logger, string address, string service);

    [LoggerMessage(1506, LogLevel.Information, "Listening on {Address} for PostgreSQL drivers, with a service token as user and password", EventName = "PostgresListening")]
    public static partial void PostgresListening(this ILogger logger, string address);

    [LoggerMessage(1507, LogLevel.Error, "The pool of service {Service} cannot be used: {Reason}", EventName = "PoolUnusable")]
    public static partial void PoolUnusable(this ILogger logger, string service, string reason);

    [LoggerMessage(1503, LogLevel.Error, "A connection to {Address} could not be accepted or served; going on", EventName = "AcceptFailed")]
    public static partial void AcceptFailed(this ILogger logger, Exception exception, string address);

    [LoggerMessage(1504, LogLevel.Warning, "This .NET runtime ({Version}) has known security faults; update it to {Fixed} or newer", EventName = "RuntimeOutdated")]
    public static partial void RuntimeOutdated(this ILogger logger, string version, string @fixed);

    [LoggerMessage(1505, LogLevel.Warning, "Public addresses speak plain HTTP: only a proxy on this host that terminates TLS may reach them", EventName = "PlaintextListening")]
    public static partial void PlaintextListening(this ILogger logger);

    [LoggerMessage(1508, LogLevel.Warning, "A connection from {From} was closed: {Reason}", EventName = "ConnectionRefused")]
    public static partial void ConnectionRefused(this ILogger logger, string from, string reason);

    [LoggerMessage(1509, LogLevel.Warning, "{Count} more connections were closed because too many were open", EventName = "ConnectionsRefused")]
    public static partial void ConnectionsRefused(this ILogger logger, long count);

    [LoggerMessage(1510, LogLevel.Information, "Connector {Connector} online: name {Name}, tunnel {Tunnel}, services {Services}, from {From}, session {Session}", EventName = "ConnectorOnline")]
    public static partial void ConnectorOnline(this ILogger logger, string connector, string name, string tunnel, string services, string from, string session);

    [LoggerMessage(1511, LogLevel.Warning, "Connector {Connector} offline: name {Name}, tunnel {Tunnel}, {Streams} streams cut: {Reason}", EventName = "ConnectorOffline")]
    public static partial void ConnectorOffline(this ILogger logger, string connector, string name, string tunnel, int streams, string reason);

    [LoggerMessage(1524, LogLevel.Information, "Connector {Connector} left: name {Name}, tunnel {Tunnel}", EventName = "ConnectorLeft")]
    public static partial void ConnectorLeft(this ILogger logger, string connector, string name, string tunnel);

    [LoggerMessage(1512, LogLevel.Information, "Connector {Connector} drains: name {Name}, tunnel {Tunnel}, {Streams} streams left", EventName = "ConnectorDraining")]
    public static partial void ConnectorDraining(this ILogger logger, string connector, string name, string tunnel, int streams);

    [LoggerMessage(1513, LogLevel.Warning, "Connector {Connector} of tunnel {Tunnel} announces {Count} services that get no streams, first {Service}: {Reason}", EventName = "ServicesRejected")]
    public static partial void ServicesRejected(this ILogger logger, string connector, string tunnel, int count, string service, string reason);

    [LoggerMessage(1514, LogLevel.Warning, "A connector of tunnel {Tunnel} from {From} is refused ({Code}): {Reason}", EventName = "ConnectorRefused")]
    public static partial void ConnectorRefused(this ILogger logger, string tunnel, string from, string code, string reason);

    [LoggerMessage(1515, LogLevel.Debug, "A refusal did not reach the connector: {Reason}", EventName = "RefusalNotDelivered")]
    public static partial void RefusalNotDelivered(this ILogger logger, string reason);

    [LoggerMessage(1516, LogLevel.Warning, "A carrier of connector {Connector}, tunnel {Tunnel}, was lost: {Reason}", EventName = "CarrierLost")]
    public static partial void CarrierLost(this ILogger logger, string connector, string tunnel, string reason);

    [LoggerMessage(1517, LogLevel.Debug, "A carrier of an application to {Hostname} from {From} was lost: {Reason}", EventName = "ApplicationCarrierLost")]
    public static partial void ApplicationCarrierLost(this ILogger logger, string hostname, string from, string reason);

    [LoggerMessage(1518, LogLevel.Error, "Access could not be withdrawn everywhere; it is tried again in a second", EventName = "WithdrawalFailed")]
    public static partial void WithdrawalFailed(this ILogger logger, Exception exception);

    [LoggerMessage(1519, LogLevel.Warning,
        "The system's clock jumped by {Seconds} s. New streams go by it at once, running ones in {DoubtSeconds} s: if it is wrong, set it right before their tokens expire by it",
        EventName = "ClockJumped")]
    public static partial void ClockJumped(this ILogger logger, double seconds, double doubtSeconds);

    [LoggerMessage(1520, LogLevel.Information, "Stream {StreamId} opened: tunnel {Tunnel}, service {Service}, token {Token}, from {From}, connector {Connector}, in {OpenMs} ms", EventName = "StreamOpened")]
    public static partial void StreamOpened(
        this ILogger logger, string streamId, string tunnel, string service, string token, string from, string connector, double openMs);

    [LoggerMessage(1521, LogLevel.Information,
        "Stream {StreamId} ended: tunnel {Tunnel}, service {Service}, {End} by {EndedBy} ({Reason}), {BytesToTarget} bytes to and {BytesFromTarget} from the target in {DurationMs} ms",
        EventName = "StreamEnded")]
    public static partial void StreamEnded(
        this ILogger logger, string streamId, string tunnel, string service, string end, string endedBy, string reason,
        long bytesToTarget, long bytesFromTarget, long durationMs);

    [LoggerMessage(1522, LogLevel.Warning, "Stream {StreamId} refused: tunnel {Tunnel}, service {Service}, token {Token}, from {From}, hop {Hop} ({Code}): {Reason}", EventName = "StreamRefused")]
    public static partial void StreamRefused(
        this ILogger logger, string streamId, string tunnel, string service, string token, string from, string hop, string code, string reason);

    [LoggerMessage(1523, LogLevel.Warning, "{Streams} streams and requests, {Connectors} connectors and {Clients} PostgreSQL clients cut: {Reason}", EventName = "AccessWithdrawn")]
    public static partial void AccessWithdrawn(this ILogger logger, int streams, int connectors, int clients, string reason);

    [LoggerMessage(1530, LogLevel.Information, "Draining: {Streams} streams and {Requests} requests have {GraceSeconds} s to finish", EventName = "Draining")]
    public static partial void Draining(this ILogger logger, int streams, int requests, double graceSeconds);

    [LoggerMessage(1531, LogLevel.Warning, "The grace time is over; {Streams} streams and {Requests} requests are cut", EventName = "DrainCut")]
    public static partial void DrainCut(this ILogger logger, int streams, int requests);

    [LoggerMessage(1533, LogLevel.Warning, "The grace time is over; {Clients} PostgreSQL clients are cut", EventName = "PostgresDrainCut")]
    public static partial void PostgresDrainCut(this ILogger logger, int clients);

    [LoggerMessage(1532, LogLevel.Information, "Stopped", EventName = "Stopped")]
    public static partial void Stopped(this ILogger logger);

    [LoggerMessage(1540, LogLevel.Information, "Configuration reloaded: local and PostgreSQL listeners", EventName = "Reloaded")]
    public static partial void Reloaded(this ILogger logger);

    [LoggerMessage(1541, LogLevel.Error, "Configuration not reloaded, the old one stays: {Reason}", EventName = "ReloadFailed")]
    public static partial void ReloadFailed(this ILogger logger, string reason);

    [LoggerMessage(1542, LogLevel.Warning, "{Key} changed; it takes effect after a restart", EventName = "RestartNeeded")]
    public static partial void RestartNeeded(this ILogger logger, string key);

    [LoggerMessage(1543, LogLevel.Error, "Configuration reloaded, but not every address is listened on: {Reason}", EventName = "ReloadIncomplete")]
    public static partial void ReloadIncomplete(this ILogger logger, string reason);
}
