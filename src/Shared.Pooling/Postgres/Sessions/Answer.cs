namespace Shared.Pooling.Postgres.Sessions;

/// <summary>What becomes of a message of the server's.</summary>
internal enum Answer
{
    /// <summary>The client gets it as it is.</summary>
    Pass,

    /// <summary>It answers something that the client did not ask.</summary>
    Drop,

    /// <summary>The client gets another one in its place, which has been written already.</summary>
    Replaced,
}
