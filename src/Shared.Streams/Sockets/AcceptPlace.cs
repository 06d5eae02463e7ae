using System.Net;

namespace Shared.Streams.Sockets;

/// <summary>The states of an <see cref="AcceptPlace"/>; they only move downwards.</summary>
internal enum AcceptPlaceState
{
    /// <summary>Has not said yet what it wants.</summary>
    Newcomer,

    /// <summary>Is served without having shown who it is.</summary>
    Stranger,

    /// <summary>Has shown who it is.</summary>
    Recognized,

    /// <summary>Is closed, had to make room, or never got a place.</summary>
    Left,
}

/// <summary>One connection's place in an <see cref="AcceptBudget"/>, free again when it is disposed of. Safe for concurrent use.</summary>
public sealed class AcceptPlace : IDisposable
{
    private readonly AcceptBudget _budget;
    private readonly TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile AcceptPlaceState _state = AcceptPlaceState.Left;

    internal AcceptPlace(AcceptBudget budget, IPAddress? address, Action close)
    {
        (_budget, Address, Close) = (budget, address, close);
        Newcomer = new LinkedListNode<AcceptPlace>(this);
        Network = RemoteNetwork.OfAnotherHost(address);
    }

    /// <summary>Completes when the place was disposed of.</summary>
    public Task Left => _left.Task;

    internal IPAddress? Address { get; }

    /// <summary>Null for this host's own, who are not counted by address.</summary>
    internal RemoteNetwork? Network { get; }

    internal LinkedListNode<AcceptPlace> Newcomer { get; }

    internal Action Close { get; set; }

    internal AcceptPlaceState State
    {
        get => _state;
        set => _state = value;
    }

    /// <summary>The connection is served though it has not shown who it is; it makes room for nobody any more.</summary>
    /// <returns>False when strangers have their share already, or it had to make room before.</returns>
    public bool TrySettle() => _state is AcceptPlaceState.Stranger or AcceptPlaceState.Recognized || _budget.TrySettle(this);

    /// <summary>The connection has shown who it is: it makes room for nobody any more, and counts neither among strangers nor for its address.</summary>
    public void Recognize()
    {
        if (_state != AcceptPlaceState.Recognized)
        {
            _budget.Recognize(this);
        }
    }

    /// <summary>Somebody else has the connection now.</summary>
    /// <param name="close">Closes it when it must make room.</param>
    /// <returns>False when it had to already; the new owner closes it.</returns>
    public bool TryHandOver(Action close) => _budget.TryHandOver(this, close);

    /// <inheritdoc/>
    public void Dispose()
    {
        _budget.Leave(this);
        _left.TrySetResult();
    }
}
