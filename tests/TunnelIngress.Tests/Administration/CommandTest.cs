using System.Text.Json;
using TunnelIngress.State;
using TunnelIngress.Tests.State;

namespace TunnelIngress.Tests.Administration;

/// <summary>The real program, from its command line to its exit code, on a state of its own.</summary>
public abstract class CommandTest : IDisposable
{
    private protected TemporaryDirectory State { get; } = new();

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => State.Dispose();

    protected async Task FillAsync() => await Samples.OpenFilledAsync(State.Path);

    private protected async Task<StateSnapshot> LoadAsync() => await (await Samples.OpenAsync(State.Path)).LoadAsync(Cancel);

    private protected async Task<ProgramResult> DoAsync(params string[] arguments)
    {
        var result = await Programs.RunAsync([.. arguments, "--state", State.Path]);
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Empty(result.Error);
        return result;
    }

    protected async Task<JsonElement> JsonAsync(params string[] arguments)
    {
        using var document = JsonDocument.Parse((await DoAsync([.. arguments, "--json"])).Output);
        return document.RootElement.Clone();
    }

    private protected async Task<ProgramResult> RefusedAsync(int exitCode, params string[] arguments)
    {
        var result = await Programs.RunAsync([.. arguments, "--state", State.Path]);
        Assert.True(result.ExitCode == exitCode, $"{result.ExitCode}: {result.Output}{result.Error}");
        Assert.Empty(result.Output);
        return result;
    }
}
