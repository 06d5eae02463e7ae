using Microsoft.Extensions.Time.Testing;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>A clock that a test moves only while it waits for a time limit: no limit is met because the machine is slow.</summary>
internal static class PassingTime
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <summary>Lets time pass until something has come; in steps, because nobody knows when the code under test begins to count.</summary>
    public static async Task<T> PassUntilAsync<T>(this FakeTimeProvider time, Task<T> awaited, TimeSpan? step = null)
    {
        await time.PassUntilAsync((Task)awaited, step);
        return await awaited;
    }

    /// <inheritdoc cref="PassUntilAsync{T}"/>
    public static async Task PassUntilAsync(this FakeTimeProvider time, Task awaited, TimeSpan? step = null)
    {
        while (!awaited.IsCompleted)
        {
            time.Advance(step ?? Step);
            await Task.WhenAny(awaited, Task.Delay(Pause, TestContext.Current.CancellationToken));
        }

        await awaited;
    }
}
