namespace Shared.Pooling.Postgres.Sessions;

/// <summary>The requests on one server connection that were not answered yet, oldest first. Not safe for concurrent use.</summary>
internal sealed class PendingRequests
{
    private PendingRequest[] _ring = new PendingRequest[8];
    private int _head;

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>How much memory they take, as a number of requests: what they do to the session counts, too.</summary>
    public int Weight { get; private set; }

    /// <summary>One of them, counted from the oldest.</summary>
    public ref PendingRequest this[int index] => ref _ring[(_head + index) & (_ring.Length - 1)];

    /// <summary>The oldest. There must be one.</summary>
    public ref PendingRequest Oldest => ref _ring[_head];

    /// <summary>Adds the newest.</summary>
    public void Add(in PendingRequest request)
    {
        if (Count == _ring.Length)
        {
            Grow();
        }

        this[Count] = request;
        Count++;
        Weight += WeightOf(request);
    }

    /// <summary>Takes the oldest away.</summary>
    public PendingRequest Take()
    {
        var request = Oldest;
        Oldest = default;
        _head = (_head + 1) & (_ring.Length - 1);
        Count--;
        Weight -= WeightOf(request);
        return request;
    }

    /// <summary>Takes away all of one kind that stand between the oldest and the first of another kind. One pass, however many they are.</summary>
    public void RemoveBehindOldest(RequestKind kind, RequestKind until)
    {
        var (kept, at) = (1, 1);
        for (; at < Count && this[at].Kind != until; at++)
        {
            if (this[at].Kind != kind)
            {
                this[kept++] = this[at];
            }
            else
            {
                Weight -= WeightOf(this[at]);
            }
        }

        for (; at < Count; at++)
        {
            this[kept++] = this[at];
        }

        for (at = kept; at < Count; at++)
        {
            this[at] = default;
        }

        Count = kept;
    }

    /// <summary>Takes all away.</summary>
    public void Clear()
    {
        Array.Clear(_ring);
        (_head, Count, Weight) = (0, 0, 0);
    }

    private static int WeightOf(in PendingRequest request) => 1 + (request.Effects?.Length ?? 0);

    private void Grow()
    {
        var larger = new PendingRequest[2 * _ring.Length];
        for (var i = 0; i < Count; i++)
        {
            larger[i] = this[i];
        }

        (_ring, _head) = (larger, 0);
    }
}
