namespace Shared.Streams.Tests.Conformance;

/// <summary>
/// Writes to a peer that does not read. Nobody can tell a write that is stuck from one that is slow, so whoever only seemed to be stuck goes on
/// until he is.
/// </summary>
internal sealed class StuckWriter
{
    private const int Chunk = 64 * 1024;

    /// <summary>More than any transport holds.</summary>
    private const long Limit = 64 * 1024 * 1024;

    private readonly DuplexStream _stream;
    private long _written;
    private volatile bool _writesNoMore;

    private StuckWriter(DuplexStream stream)
    {
        _stream = stream;
        Writing = Task.Run(WriteAsync);
    }

    /// <summary>Ends with the write that fails, or with the one that is outstanding when <see cref="WriteNoMore"/> is called.</summary>
    public Task Writing { get; }

    /// <summary>The bytes of all writes that have succeeded.</summary>
    public long Written => Interlocked.Read(ref _written);

    /// <summary>Begins, and waits until a write stays outstanding.</summary>
    public static async Task<StuckWriter> StartAsync(DuplexStream stream)
    {
        var writer = new StuckWriter(stream);
        for (var (last, steady) = (-1L, 0); steady < 5;)
        {
            if (await Task.WhenAny(writer.Writing, Task.Delay(50, TestContext.Current.CancellationToken)) == writer.Writing)
            {
                await writer.Writing;
            }

            var now = writer.Written;
            Assert.InRange(now, 0, Limit);
            (last, steady) = (now, now == last ? steady + 1 : 0);
        }

        return writer;
    }

    /// <summary>The write that is outstanding is the last one.</summary>
    public void WriteNoMore() => _writesNoMore = true;

    private async Task WriteAsync()
    {
        while (!_writesNoMore)
        {
            await _stream.WriteAsync(new byte[Chunk], CancellationToken.None);
            Interlocked.Add(ref _written, Chunk);
        }
    }
}
