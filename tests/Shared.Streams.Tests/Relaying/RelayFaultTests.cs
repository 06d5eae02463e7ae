using System.Buffers;
using Shared.Streams.Memory;
using Shared.Streams.Relaying;

namespace Shared.Streams.Tests.Relaying;

public sealed class RelayFaultTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Programming_error_escapes_after_both_ends_were_told()
    {
        var (application, near) = MemoryDuplexStream.CreatePair();
        var relay = Relay.RunAsync(near, new FaultyStream(), new RelayOptions(), TimeProvider.System);

        await Assert.ThrowsAsync<NotImplementedException>(() => relay.WaitAsync(Patience, Cancelled));

        var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => application.ReadAsync(new byte[1], Cancelled).AsTask());
        Assert.Equal(AbortCode.Dropped, abort.Reason.Code);
    }

    [Fact]
    public async Task Stream_that_paused_after_exactly_one_buffer_holds_none()
    {
        var pool = new CountingPool();
        var (application, near) = MemoryDuplexStream.CreatePair(1024 * 1024);
        var (far, target) = MemoryDuplexStream.CreatePair(1024 * 1024);
        var relay = Relay.RunAsync(near, far, new RelayOptions { Buffers = pool }, TimeProvider.System);

        await application.WriteAsync(new byte[64 * 1024], Cancelled);
        for (var left = 64 * 1024; left > 0;)
        {
            left -= await target.ReadAsync(new byte[left], Cancelled);
        }

        Assert.True(SpinWait.SpinUntil(() => pool.Rented == 0, Patience));
        application.Abort(StreamAbort.Reset);
        await relay.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task Abort_of_one_of_our_ends_cuts_the_other_with_the_same_reason()
    {
        var (application, near) = MemoryDuplexStream.CreatePair();
        var (far, target) = MemoryDuplexStream.CreatePair();
        var relay = Relay.RunAsync(near, far, new RelayOptions(), TimeProvider.System);

        far.Abort(new StreamAbort(AbortCode.Shutdown, "drain"));

        var result = await relay.WaitAsync(Patience, Cancelled);
        Assert.Equal((RelayEnd.Cut, null, AbortCode.Shutdown), (result.End, result.EndedBy, result.Reason!.Value.Code));
        var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => application.ReadAsync(new byte[1], Cancelled).AsTask());
        Assert.Equal(AbortCode.Shutdown, abort.Reason.Code);
        await target.DisposeAsync();
    }

    private sealed class FaultyStream : DuplexStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            throw new NotImplementedException("a bug");

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            throw new NotImplementedException("a bug");

        public override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

        public override void Abort(StreamAbort reason)
        {
        }

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    private sealed class CountingPool : ArrayPool<byte>
    {
        private int _rented;

        public int Rented => Volatile.Read(ref _rented);

        public override byte[] Rent(int minimumLength)
        {
            Interlocked.Increment(ref _rented);
            return Shared.Rent(minimumLength);
        }

        public override void Return(byte[] array, bool clearArray = false)
        {
            Interlocked.Decrement(ref _rented);
            Shared.Return(array, clearArray);
        }
    }
}
