using System.Net;

namespace Shared.Streams.Sockets;

/// <summary>The states of an <see cref="AcceptPlace"/>; they only move downwards, but a held one may change its holder.</summary>
internal enum AcceptPlaceState
{
    /// <summary>Has not said yet what it wants.</summary>
    Newcomer,

    /// <summary>Is served without having shown who it is.</summary>
    Stranger,

    /// <summary>Has shown whose it is, and counts for that holder.</summary>
    Held,

    /// <summary>Has shown who it is, and is counted by whoever has let it in.</summary>
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
    private volatile string? _holder;

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

    internal string? Holder
    {
        get => _holder;
        set => _holder = value;
    }

    internal AcceptPlaceState State
    {
        get => _state;
        set => _state = value;
    }

    /// <summary>The connection is served though it has not shown who it is; it makes room for nobody any more.</summary>
    /// <returns>False when strangers have their share already, or it had to make room before.</returns>
    public bool TrySettle() => _state is AcceptPlaceState.Stranger or AcceptPlaceState.Held or AcceptPlaceState.Recognized || _budget.TrySettle(this);

    /// <summary>
    /// The connection has shown whose it is: it makes room for nobody any more, and counts for its holder, the last one when it has shown several.
    /// </summary>
    /// <returns>Null, or why it stays what it was.</returns>
    public AcceptRefusal? Recognize(string holder) => _holder == holder ? null : _budget.Recognize(this, holder);

    /// <summary>
    /// The connection has shown who it is, and whoever lets it in bounds how many of these there are: it makes room for nobody any more, and counts
    /// neither among strangers nor for its address or a holder.
    /// </summary>
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
