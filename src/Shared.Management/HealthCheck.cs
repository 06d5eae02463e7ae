using System.Net;
using System.Net.Sockets;
using Shared.Streams.Sockets;

namespace Shared.Management;

/// <summary>Asks a management address of this host whether the program there is ready.</summary>
internal static class HealthCheck
{
    /// <summary>For connecting and the whole answer.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);

    /// <summary>Far more than any answer.</summary>
    private const int MaxAnswer = 1024 * 1024;

    /// <summary>Asks.</summary>
    /// <param name="address">Where the program listens.</param>
    /// <param name="path">What it is asked.</param>
    /// <param name="time">The clock of the time limit that the attempt has of its own.</param>
    /// <param name="cancellationToken">Ends the attempt, too.</param>
    /// <returns>Ready when the answer is 200.</returns>
    /// <exception cref="IOException">Nothing answers there as a management address does; the message says what to look at.</exception>
    public static async Task<Readiness> AskAsync(ListenAddress address, string path, TimeProvider time, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(Timeout, time);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);

        // A proxy of the environment is for the way to the ingress.
        using var client = new HttpClient(new SocketsHttpHandler
        {
            UseProxy = false,
            AllowAutoRedirect = false,
            ConnectCallback = (_, token) => ConnectAsync(EndPointOf(address), token),
        })
        {
            Timeout = System.Threading.Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = MaxAnswer,
        };
        try
        {
            using var answer = await client.GetAsync(new Uri($"http://localhost{path}"), ending.Token);
            var text = await answer.Content.ReadAsStringAsync(ending.Token);
            return answer.StatusCode is HttpStatusCode.OK or HttpStatusCode.ServiceUnavailable
                ? new Readiness(answer.StatusCode == HttpStatusCode.OK, text)
                : throw new IOException($"{address} answered {(int)answer.StatusCode}, which no management address does. Does another program listen there?");
        }
        catch (HttpRequestException exception)
        {
            throw new IOException($"{address} does not answer: {exception.GetBaseException().Message}. Does the program run, and with this management address?", exception);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new IOException($"{address} did not answer within {Timeout.TotalSeconds:0} s.", exception);
        }
    }

    // Who listens on every address is asked on this host's own.
    private static EndPoint EndPointOf(ListenAddress address) => address switch
    {
        { UnixPath: { } path } => new UnixDomainSocketEndPoint(path),
        { IPEndPoint: { } any } when any.Address.Equals(IPAddress.Any) => new IPEndPoint(IPAddress.Loopback, any.Port),
        { IPEndPoint: { } any } when any.Address.Equals(IPAddress.IPv6Any) => new IPEndPoint(IPAddress.IPv6Loopback, any.Port),
        _ => address.IPEndPoint!,
    };

    private static async ValueTask<Stream> ConnectAsync(EndPoint address, CancellationToken cancellationToken)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(address, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
