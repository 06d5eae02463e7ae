namespace Shared.Pooling.Postgres.Sessions;

/// <summary>What a client asked, as far as it decides how the server's answers belong to it.</summary>
internal enum RequestKind : byte
{
    Parse,
    Bind,
    DescribeStatement,
    DescribePortal,
    Execute,
    Close,
    Sync,
    Query,
    FunctionCall,

    /// <summary>CopyDone or CopyFail: has no answer of its own, but parts the Syncs that a copy swallows from those that it does not.</summary>
    CopyEnd,

    /// <summary>A Parse with a name that the client has given already: sent so that the server refuses it as it refuses any such (42P05).</summary>
    DuplicateParse,

    /// <summary>A Parse of a statement that the server connection has already: ParseComplete is ours to say when its turn comes.</summary>
    KnownParse,

    /// <summary>A Close of a statement that other clients go on using: CloseComplete is ours to say when its turn comes.</summary>
    SharedClose,
}
