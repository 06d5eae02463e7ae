namespace Shared.Pooling.Postgres.Sessions;

/// <summary>Who a client is.</summary>
/// <param name="Id">Its number in this process: the process id that it is told, so that it can cancel.</param>
/// <param name="User">The user it logged in as.</param>
/// <param name="Database">The database it asked for.</param>
/// <param name="Remote">Where it connects from.</param>
internal sealed record ClientIdentity(int Id, string User, string Database, string Remote);
