using System.Net;
using Shared.Hosting.Logging;
using Shared.Streams.Access;
using Shared.Streams.Protocol;
using Shared.Streams.Sockets;
using TunnelIngress.Access;
using TunnelIngress.Metrics;
using TunnelIngress.State;

namespace TunnelIngress.Applications;

/// <summary>
/// The Access headers of a request against the state: the token, or an answer that is already written. Every refusal looks the same
/// to the caller; our own log says which it was. Safe for concurrent use.
/// </summary>
internal sealed class AccessCheck(
    StateWatcher state, TokenUses uses, FailedAccessLimiter limiter, ApplicationPlaces places, IngressMetrics metrics, TimeProvider time, ILogger<AccessCheck> logger)
{
    /// <summary>Of what strangers bring about, of each kind.</summary>
    public const int LogLinesPerSecond = 10;

    private readonly LineLimit _lines = new(LogLinesPerSecond, TimeSpan.FromSeconds(1), time, logger.AccessDenialsNotLogged);

    /// <summary>
    /// The token of an application's request, which is good for the service and has a place for the connection; null after the refusal was answered.
    /// </summary>
    public async Task<AcceptedToken?> AdmitAsync(HttpContext context, Service service)
    {
        if (await AuthenticateAsync(context) is not { } token)
        {
            return null;
        }

        if (!token.Scope.MayAccess(service.Name))
        {
            await DenyAsync(context, token, $"the token's scope does not name service {service.Name}");
            return null;
        }

        if (context.Features.Get<AcceptPlace>() is { } place && places.Take(place, token.ClientId) is { } refusal)
        {
            if (!HttpProtocol.IsHttp2(context.Request.Protocol))
            {
                context.Response.Headers.Connection = "close";
            }

            await UpgradeAnswers.FailedAsync(context, refusal);
            return null;
        }

        return token;
    }

    /// <summary>The token of a request, or null after the refusal was answered.</summary>
    public async Task<AcceptedToken?> AuthenticateAsync(HttpContext context)
    {
        var clientId = context.Request.Headers[AccessHeaders.ClientId].ToString();
        var clientSecret = context.Request.Headers[AccessHeaders.ClientSecret].ToString();
        if (Authenticate(clientId, clientSecret, context.Connection.RemoteIpAddress, out var denial) is { } token)
        {
            return token;
        }

        await RefuseAsync(context, clientId, denial.ToString());
        return null;
    }

    /// <summary>The token, whose use is noted; or null and why.</summary>
    /// <param name="clientId">The client id that was shown.</param>
    /// <param name="clientSecret">The secret that was shown.</param>
    /// <param name="from">Who shows them; null for a Unix socket.</param>
    /// <param name="denial">Why not.</param>
    public AcceptedToken? Authenticate(string clientId, string clientSecret, IPAddress? from, out Denial denial)
    {
        var now = time.GetUtcNow();
        var token = AccessGate.Authenticate(clientId, clientSecret, state.Current, now, out denial);
        if (token is { } accepted)
        {
            uses.Note(accepted.ClientId, accepted.SecretVersion, from, now);
        }

        return token;
    }

    /// <summary>The token of a secret's <see cref="AccessGate.Hash"/>, or null and why. Nothing is noted: to look again is no use.</summary>
    public AcceptedToken? Find(string clientId, ReadOnlySpan<byte> secretHash, out Denial denial) =>
        AccessGate.Authenticate(clientId, secretHash, state.Current, time.GetUtcNow(), out denial);

    /// <summary>Notes the use of a token that was accepted otherwise than by <see cref="Authenticate"/>.</summary>
    public void NoteUse(AcceptedToken token, IPAddress? from, DateTimeOffset now) => uses.Note(token.ClientId, token.SecretVersion, from, now);

    /// <summary>Refuses a token that is good, but not for this.</summary>
    public Task DenyAsync(HttpContext context, AcceptedToken token, string reason) => RefuseAsync(context, token.ClientId, reason);

    /// <summary>Counts and logs a refusal.</summary>
    /// <returns>False when its address has had too many.</returns>
    public bool CountRefusal(IPAddress? address, string from, string clientId, string host, string? path, string reason, string requestId = "none")
    {
        var isWithinLimit = CountRefusal(address);
        if (_lines.MayWrite())
        {
            logger.AccessDenied(LoggableId(clientId), from, ProtocolCodec.OneLine(host), ProtocolCodec.OneLine(path), requestId, reason);
        }

        return isWithinLimit;
    }

    /// <summary>Counts a refusal that somebody else logs.</summary>
    /// <returns>False when its address has had too many.</returns>
    public bool CountRefusal(IPAddress? address)
    {
        metrics.AccessDenied();
        return limiter.TryCount(address ?? IPAddress.None);
    }

    /// <summary>Where a request comes from, for the log.</summary>
    public static string RemoteOf(HttpContext context) =>
        context.Connection.RemoteIpAddress is { } address ? new IPEndPoint(address, context.Connection.RemotePort).ToString() : "unix";

    private Task RefuseAsync(HttpContext context, string clientId, string reason)
    {
        var isWithinLimit = CountRefusal(
            context.Connection.RemoteIpAddress, RemoteOf(context), clientId, context.Request.Host.Host, context.Request.Path.Value, reason,
            context.Response.Headers[TunnelProtocol.RequestHeader] is [{ } id] ? id : "none");
        return isWithinLimit ? UpgradeAnswers.DeniedAsync(context) : UpgradeAnswers.LimitedAsync(context);
    }

    // Somebody may have put his secret into the wrong header.
    private static string LoggableId(string clientId) =>
        clientId.Length is > 0 and <= 64 && clientId.EndsWith(".access", StringComparison.Ordinal) ? ProtocolCodec.OneLine(clientId) : "(not an id)";
}
