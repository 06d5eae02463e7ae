using Microsoft.Extensions.Logging;

namespace Shared.Hosting.Configuration;

/// <summary>What a token's file has to say to a program's log. Ids 3900-3909.</summary>
internal static partial class TokenLog
{
    [LoggerMessage(3900, LogLevel.Error, "{Reason} The token that was read last stays in use; after a restart there would be none", EventName = "TokenKept")]
    public static partial void TokenKept(this ILogger logger, string reason);
}
