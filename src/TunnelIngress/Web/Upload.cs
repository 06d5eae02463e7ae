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
    private volatile int _refusedStatus;
    private volatile bool _isRead;

    /// <summary>The upload on whose behalf the running code is.</summary>
    public static Upload? Current
    {
        get => Flowing.Value;
        set => Flowing.Value = value;
    }

    /// <summary>True once the origin has answered that it does not want the body.</summary>
    public bool IsRefused => _refusedStatus != 0;

    /// <summary>The status of the answer that refused it; null while there is none.</summary>
    public int? RefusedStatus => _refusedStatus is > 0 and var status ? status : null;

    /// <summary>True once its last byte has come from the client; it may still be on its way to the origin.</summary>
    public bool IsRead => _isRead;

    /// <summary>Cancelled by a refusal, and by <see cref="Cancel"/>.</summary>
    public CancellationToken Stopped => _stopped.Token;

    /// <summary>The origin has answered.</summary>
    /// <param name="status">With what.</param>
    public void Refuse(int status)
    {
        _refusedStatus = status;
        _ = _stopped.CancelAsync();
    }

    /// <summary>The request is over.</summary>
    public void Cancel() => _stopped.Cancel();

    /// <summary>All of it has been read.</summary>
    public void Finish() => _isRead = true;
}
