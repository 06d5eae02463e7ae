using Shared.Pooling.Postgres.Sql;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// The settings of one client, which follow it to any server connection: made at login and by SET, undone as ROLLBACK and savepoints undo
/// them. Only what a server has confirmed is noted, and so much of it is kept; what is beyond is lost. Not safe for concurrent use.
/// </summary>
/// <param name="startup">What the client asked for at login: what RESET goes back to.</param>
internal sealed class SessionParameters(SettingsSnapshot startup)
{
    /// <summary>How many savepoints of a transaction are kept account of.</summary>
    private const int MostSavepoints = 10_000;

    /// <summary>How many characters may have been set since the first of them, likewise: each keeps what held before.</summary>
    private const int MostBehindSavepoints = 16 * 1024 * 1024;

    private List<Savepoint>? _savepoints;
    private long _behindSavepoints;
    private State _committed = new(startup, startup);
    private State _current = new(startup, startup);

    /// <summary>What the client's statements run under.</summary>
    public SettingsSnapshot Wanted => _current.Wanted;

    /// <summary>What holds on the server connection that the client is linked to.</summary>
    public SettingsSnapshot OnServer => _current.OnServer;

    /// <summary>True when the client has done more than is kept account of, until it discards all.</summary>
    public bool IsBeyond { get; private set; }

    /// <summary>A server connection now has all that is wanted.</summary>
    public void Prepared()
    {
        _current = new State(_current.Wanted, _current.Wanted);
        _committed = _current;
    }

    /// <summary>A statement has succeeded.</summary>
    /// <param name="effect">What it did.</param>
    /// <param name="rolledBack">True when a COMMIT rolled back.</param>
    public void Apply(in SqlEffect effect, bool rolledBack)
    {
        switch (effect.Kind)
        {
            case SqlEffectKind.Set when effect is { Name: { } name, Replay: { } replay }:
                Set(name, replay);
                break;
            case SqlEffectKind.Reset when effect.Name is { } name:
                _current = _current.Reset(name, startup);
                break;
            case SqlEffectKind.ResetAll:
                _current = new State(_current.Wanted.ResetAll(startup), _current.OnServer.ResetAll(SettingsSnapshot.Empty));
                break;
            case SqlEffectKind.DiscardAll:
                Discard();
                break;
            case SqlEffectKind.Savepoint when effect.Name is { } name:
                Save(name);
                break;
            case SqlEffectKind.RollbackTo when effect.Name is { } name && Find(name) is >= 0 and var index:
                _current = _savepoints![index].State;
                _savepoints.RemoveRange(index + 1, _savepoints.Count - index - 1);
                break;
            case SqlEffectKind.Release when effect.Name is { } name && Find(name) is >= 0 and var index:
                Release(index);
                break;
            case SqlEffectKind.Commit:
                TransactionEnded(!rolledBack);
                break;
            case SqlEffectKind.Rollback:
                TransactionEnded(committed: false);
                break;
            default:
                break;
        }
    }

    /// <summary>The transaction is over.</summary>
    public void TransactionEnded(bool committed)
    {
        (_committed, _current) = committed ? (_current, _current) : (_committed, _committed);
        _savepoints?.Clear();
        _behindSavepoints = 0;
    }

    /// <summary>Back to what was asked at login, as DISCARD ALL does it.</summary>
    public void Discard()
    {
        _current = new State(startup, SettingsSnapshot.Empty);
        IsBeyond = false;
        TransactionEnded(committed: true);
    }

    /// <summary>The client has set what no text here can set again.</summary>
    public void GoBeyond() => IsBeyond = true;

    private void Set(string name, string replay)
    {
        var set = _current.With(name, replay);
        _behindSavepoints += _savepoints is { Count: > 0 } ? replay.Length : 0;
        if (set.Wanted.IsTooLarge || _behindSavepoints > MostBehindSavepoints)
        {
            IsBeyond = true;
            return;
        }

        _current = set;
    }

    // Drivers that save before each statement give the same name again and again, and never release it.
    private void Save(string name)
    {
        var savepoints = _savepoints ??= [];
        _behindSavepoints = savepoints.Count == 0 ? 0 : _behindSavepoints;
        if (savepoints.Count > 0 && savepoints[^1] is var last && last.Name == name && last.State == _current)
        {
            savepoints[^1] = last with { Times = last.Times + 1 };
        }
        else if (savepoints.Count < MostSavepoints)
        {
            savepoints.Add(new Savepoint(name, _current, Times: 1));
        }
        else
        {
            IsBeyond = true;
        }
    }

    private void Release(int index)
    {
        var released = _savepoints![index];
        _savepoints.RemoveRange(index, _savepoints.Count - index);
        if (released.Times > 1)
        {
            _savepoints.Add(released with { Times = released.Times - 1 });
        }
    }

    private int Find(string name) => _savepoints?.FindLastIndex(savepoint => savepoint.Name == name) ?? -1;

    private readonly record struct Savepoint(string Name, State State, long Times);

    /// <param name="Wanted">What the client means to have.</param>
    /// <param name="OnServer">
    /// What the linked server connection has: after a RESET it has the pool's default, where the client means what it asked for at login.
    /// </param>
    private readonly record struct State(SettingsSnapshot Wanted, SettingsSnapshot OnServer)
    {
        public State With(string name, string replay)
        {
            // A new session authorization brings its own role.
            var before = name == "session_authorization" ? new State(Wanted.Without("role"), OnServer.Without("role")) : this;
            return new State(before.Wanted.With(name, replay), before.OnServer.With(name, replay));
        }

        public State Reset(string name, SettingsSnapshot startup)
        {
            var wanted = Wanted.Without(name);
            return new State(startup.Find(name) is { } replay ? wanted.With(name, replay) : wanted, OnServer.Without(name));
        }
    }
}
