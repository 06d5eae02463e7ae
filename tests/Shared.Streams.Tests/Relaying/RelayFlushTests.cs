using System.Text;
using Shared.Streams.Flushing;
using Shared.Streams.Relaying;

namespace Shared.Streams.Tests.Relaying;

/// <summary>What a relay lets leave together when a turn of a loop finds much to read.</summary>
public sealed class RelayFlushTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task End_leaves_with_the_last_bytes() =>
        Assert.Equal(["bye|"], await RelayInOneTurnAsync("bye"));

    [Fact]
    public async Task Bytes_do_not_wait_for_those_that_are_read_after_them() =>
        Assert.Equal(["one", "two", "three|"], await RelayInOneTurnAsync("one", "two", "three"));

    private static async Task<List<string>> RelayInOneTurnAsync(params string[] reads)
    {
        await using var target = new BatchingStream();
        await using var application = new ReadyStream(reads, ended: target.End);
        var turn = new FlushScope();
        turn.Enter();
        var relay = Relay.RunAsync(application, target, new RelayOptions(), TimeProvider.System);
        turn.Leave();

        var result = await relay.WaitAsync(Patience);
        Assert.Equal((RelayEnd.Completed, reads.Sum(static read => read.Length)), (result.End, result.BytesToTarget));
        return target.Batches;
    }

    /// <summary>Has everything that it will ever say, and its end, at once.</summary>
    private sealed class ReadyStream(string[] reads, Action ended) : DuplexStream
    {
        private int _next;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (buffer.IsEmpty || _next == reads.Length)
            {
                return new(0);
            }

            return new(Encoding.ASCII.GetBytes(reads[_next++], buffer.Span));
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

        public override void Abort(StreamAbort reason) => ended();

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    /// <summary>Holds back what is written until the turn ends, as a carrier does; says nothing, and ends when it is sent the end.</summary>
    private sealed class BatchingStream : DuplexStream, IFlushable
    {
        private readonly TaskCompletionSource<int> _end = new();
        private readonly StringBuilder _batch = new();

        public List<string> Batches { get; } = [];

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => new(_end.Task);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Add(Encoding.ASCII.GetString(buffer.Span));
            return ValueTask.CompletedTask;
        }

        public override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default)
        {
            Add("|");
            return ValueTask.CompletedTask;
        }

        public void End() => _end.TrySetResult(0);

        public void Flush()
        {
            Batches.Add(_batch.ToString());
            if (_batch.ToString().EndsWith('|'))
            {
                End();
            }

            _batch.Clear();
        }

        public override void Abort(StreamAbort reason) => End();

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private void Add(string text)
        {
            _batch.Append(text);
            if (!FlushScope.TryDefer(this))
            {
                Flush();
            }
        }
    }
}
