using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>Which messages may answer which request, besides errors, notices and reports. Source: PostgreSQL documentation, "Message Flow".</summary>
internal static class ExpectedAnswers
{
    /// <summary>True when a server that keeps count may send such a message now.</summary>
    /// <param name="asked">The oldest request that is not answered.</param>
    /// <param name="type">The message's type.</param>
    public static bool Has(RequestKind asked, byte type) => asked switch
    {
        RequestKind.Query => IsRow(type) || type is BackendMessage.RowDescription,
        RequestKind.Execute => IsRow(type) || type is BackendMessage.PortalSuspended,
        RequestKind.Parse or RequestKind.DuplicateParse => type is BackendMessage.ParseComplete,
        RequestKind.Bind => type is BackendMessage.BindComplete,
        RequestKind.DescribeStatement => type is BackendMessage.ParameterDescription or BackendMessage.RowDescription or BackendMessage.NoData,
        RequestKind.DescribePortal => type is BackendMessage.RowDescription or BackendMessage.NoData,
        RequestKind.Close => type is BackendMessage.CloseComplete,
        RequestKind.FunctionCall => type is BackendMessage.FunctionCallResponse,
        _ => false,
    };

    private static bool IsRow(byte type) => type is BackendMessage.DataRow or BackendMessage.CommandComplete or BackendMessage.EmptyQueryResponse
        or BackendMessage.CopyInResponse or BackendMessage.CopyOutResponse or BackendMessage.CopyData or BackendMessage.CopyDone;
}
