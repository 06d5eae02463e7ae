using System.CommandLine;
using Shared.Hosting.CommandLine;

namespace Shared.Hosting.Tests;

public sealed class ProgramRunnerTests
{
    private static readonly string Name = RootCommand.ExecutableName;

    [Theory]
    [InlineData("run")]
    [InlineData("run", "--log-level", "Warning")]
    public async Task Fault_of_the_program_is_one_line_that_says_how_to_see_where(params string[] args)
    {
        Assert.Equal(
            $"{Name}: unexpected, and probably a fault of this program; --log-level Debug shows where: NotSupportedException: out of order\n",
            await RunAsync(ExitCodes.Failure, args));
    }

    [Theory]
    [InlineData("run", "--log-level", "debug")]
    [InlineData("run", "--log-level", "Trace")]
    [InlineData("administer")]
    public async Task Fault_of_the_program_is_shown_with_where_to_who_asks_and_where_no_log_is(params string[] args)
    {
        var error = await RunAsync(ExitCodes.Failure, args);

        Assert.StartsWith($"{Name}: unexpected, and probably a fault of this program: System.NotSupportedException: out of order", error, StringComparison.Ordinal);
        Assert.Contains($"   at {typeof(ProgramRunnerTests).FullName}", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("PROGRAM: Unrecognized command or argument '--bogus'.\nTry 'PROGRAM inner deep --help'.\n", "inner", "deep", "--bogus")]
    [InlineData("PROGRAM: Unrecognized command or argument 'other'.\nTry 'PROGRAM --help'.\n", "other", "--help")]
    [InlineData("PROGRAM: Unrecognized command or argument 'other'.\nTry 'PROGRAM inner --help'.\n", "inner", "other", "-h")]
    public async Task Wrong_command_line_leads_to_the_help_of_the_command_it_is_wrong_in(string expected, params string[] args) =>
        Assert.Equal(expected.Replace("PROGRAM", Name, StringComparison.Ordinal), await RunAsync(ExitCodes.Usage, args));

    private static async Task<string> RunAsync(int expected, string[] args)
    {
        var standardError = Console.Error;
        using var error = new StringWriter();
        Console.SetError(error);
        try
        {
            Assert.Equal(expected, await ProgramRunner.RunAsync(Program(), args));
        }
        finally
        {
            Console.SetError(standardError);
        }

        return error.ToString();
    }

    private static RootCommand Program()
    {
        var run = new Command("run");
        _ = new RunOptions(run);
        run.SetAction(Fail);
        var administer = new Command("administer");
        administer.SetAction(Fail);
        var deep = new Command("deep");
        deep.SetAction(static _ => ExitCodes.Success);
        return new RootCommand { run, administer, new Command("inner") { deep } };
    }

    private static int Fail(ParseResult result) => throw new NotSupportedException("out of order");
}
