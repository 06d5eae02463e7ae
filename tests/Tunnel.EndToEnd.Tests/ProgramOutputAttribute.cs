using System.Reflection;
using Tunnel.Testing;
using Xunit.v3;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Adds to a failed test what the programs have written meanwhile, because nobody can ask them afterwards.</summary>
[AttributeUsage(AttributeTargets.Assembly)]
internal sealed class ProgramOutputAttribute : BeforeAfterTestAttribute
{
    private const int MostLines = 30;

    private readonly Dictionary<ProgramProcess, int> _before = [];

    public override void Before(MethodInfo methodUnderTest, IXunitTest test)
    {
        lock (_before)
        {
            _before.Clear();
            foreach (var (process, lines) in ProgramProcess.All())
            {
                // What a test's own programs have written before it began belongs to it.
                _before[process] = lines;
            }
        }
    }

    public override void After(MethodInfo methodUnderTest, IXunitTest test)
    {
        if (TestContext.Current is { TestState.Result: TestResult.Failed, TestOutputHelper: { } output })
        {
            foreach (var (process, _) in ProgramProcess.All())
            {
                if (process.Tail(MostLines, _before.GetValueOrDefault(process)) is { Length: > 0 } written)
                {
                    output.WriteLine($"{process} wrote:\n{written}");
                }
            }
        }
    }
}
