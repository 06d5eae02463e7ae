using System.Diagnostics.CodeAnalysis;

namespace TunnelIngress.Web;

/// <summary>
/// A request's body on its way to an origin that speaks HTTP/1.1. The HTTP client sends the whole body before it reads the answer; an origin
/// that refuses it in the middle would not be heard. So the connection tells the upload, and the rest of the body is not sent
/// (RFC 9112 section 9.3). Its client reads and writes it, its connection refuses it, at the same time.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "It holds nothing without a timer, and a refusal may come while the request ends.")]
internal sealed class Upload
{
    private static readonly AsyncLocal<Upload?> Flowing = new();

    private readonly CancellationTokenSource _stopped = new();
    private volatile bool _isRefused;
    private volatile bool _isRead;

    /// <summary>The upload on whose behalf the running code is.</summary>
    public static Upload? Current
    {
        get => Flowing.Value;
        set => Flowing.Value = value;
    }

    /// <summary>True once the origin has answered that it does not want the body.</summary>
    public bool IsRefused => _isRefused;

    /// <summary>True while there is more to read of it.</summary>
    public bool IsRunning => !_isRead && !_isRefused;

    /// <summary>Cancelled by a refusal, and by <see cref="Cancel"/>.</summary>
    public CancellationToken Stopped => _stopped.Token;

    /// <summary>The origin has answered.</summary>
    public void Refuse()
    {
        _isRefused = true;
        _ = _stopped.CancelAsync();
    }

    /// <summary>The request is over.</summary>
    public void Cancel() => _stopped.Cancel();

    /// <summary>All of it has been read.</summary>
    public void Finish() => _isRead = true;
}
