using System.Threading.Tasks.Sources;

namespace Shared.Streams.Sockets;

/// <summary>What one direction of a socket waits for. One wait at a time, so one object serves all of them and none is allocated.</summary>
/// <typeparam name="T">What comes of it.</typeparam>
internal abstract class SocketWait<T> : IValueTaskSource<T>, IValueTaskSource
{
    private ManualResetValueTaskSourceCore<T> _result;

    public T GetResult(short token) => _result.GetResult(token);

    void IValueTaskSource.GetResult(short token) => _result.GetResult(token);

    public ValueTaskSourceStatus GetStatus(short token) => _result.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _result.OnCompleted(continuation, state, token, flags);

    /// <summary>Forgets the last result.</summary>
    /// <returns>The token of the next wait.</returns>
    protected short Reset()
    {
        _result.Reset();
        return _result.Version;
    }

    /// <summary>Ends the wait; whoever waited goes on before this returns, and may wait again.</summary>
    protected void Complete(T result) => _result.SetResult(result);

    /// <inheritdoc cref="Complete"/>
    protected void Fail(Exception exception) => _result.SetException(exception);
}
