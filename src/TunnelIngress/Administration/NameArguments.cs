using System.CommandLine;
using Shared.Streams.Protocol;

namespace TunnelIngress.Administration;

/// <summary>The NAME arguments of administration commands.</summary>
internal static class NameArguments
{
    /// <summary>The name of something that is to be made: checked.</summary>
    public static Argument<string> New(string kind)
    {
        var argument = Existing(kind);
        argument.Validators.Add(result =>
        {
            if (result.Tokens is [var token, ..] && PlainName.FaultOf(kind, token.Value) is { } fault)
            {
                result.AddError(fault);
            }
        });
        return argument;
    }

    /// <summary>The name of something that exists.</summary>
    public static Argument<string> Existing(string kind) => new("name") { Description = $"The {kind}'s name", HelpName = "NAME" };

    /// <summary>A token's client id.</summary>
    public static Argument<string> ClientId() => new("client-id") { Description = "The token's client id", HelpName = "CLIENT-ID" };
}
