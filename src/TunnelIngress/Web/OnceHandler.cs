namespace TunnelIngress.Web;

/// <summary>
/// Keeps the HTTP client from sending a request again by itself whose method is not idempotent (RFC 9110 section 9.2.2). It does so with any
/// request that has no body when its connection ends before the answer begins; with an empty body it does not.
/// </summary>
internal sealed class OnceHandler(HttpMessageHandler inner) : DelegatingHandler(inner)
{
    /// <inheritdoc/>
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.Content is null && !MayBeRepeated(request.Method))
        {
            request.Content = new ByteArrayContent([]);
        }

        return base.SendAsync(request, cancellationToken);
    }

    // CONNECT makes a WebSocket, which has no body that could be empty.
    private static bool MayBeRepeated(HttpMethod method) =>
        method == HttpMethod.Get || method == HttpMethod.Head || method == HttpMethod.Options || method == HttpMethod.Trace
        || method == HttpMethod.Put || method == HttpMethod.Delete || method == HttpMethod.Connect;
}
