using BenchmarkDotNet.Attributes;
using Shared.Pooling.Pools;
using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Sql;
using Shared.Streams;

namespace Tunnel.Microbench;

/// <summary>What a pooler does for a request: read its messages, look at its SQL, write messages, get a connection and give it back.</summary>
public class PostgresBenchmarks
{
    private const int Requests = 1000;
    private const int MaxBody = 64 * 1024;

    // As pgbench -S sends it.
    private static readonly byte[] Sql = [.. "SELECT abalance FROM pgbench_accounts WHERE aid = $1;"u8];

    private readonly SqlEffects _effects = new();
    private readonly MessageWriter _writer = new();
    private MessageReader _reader = null!;
    private ConnectionPool<Connection> _pool = null!;

    [GlobalSetup]
    public async Task StartAsync()
    {
        WriteRequest();
        _reader = new MessageReader(new Repeating(_writer.Written.ToArray()));
        _writer.Clear();
        _pool = new ConnectionPool<Connection>(_ => new(new Connection()), new PoolOptions(), budget: null, TimeProvider.System);
        await LeaseAndReturn();
    }

    [GlobalCleanup]
    public async Task StopAsync()
    {
        _reader.Dispose();
        await _pool.DisposeAsync();
    }

    /// <summary>Bind, Execute and Sync, whole messages.</summary>
    [Benchmark(OperationsPerInvoke = Requests)]
    public async Task<int> ReadMessages()
    {
        var bytes = 0;
        for (var i = 0; i < Requests; i++)
        {
            byte type;
            do
            {
                (type, var body) = await _reader.ReadMessageAsync(MaxBody, CancellationToken.None);
                bytes += body.Length;
            }
            while (type != FrontendMessage.Sync);
        }

        return bytes;
    }

    /// <summary>The same three, without copying a body: as the pooler forwards what it need not look into.</summary>
    [Benchmark(OperationsPerInvoke = Requests)]
    public async Task<long> PassMessages()
    {
        var bytes = 0L;
        for (var i = 0; i < Requests; i++)
        {
            byte type;
            do
            {
                await _reader.FillAsync(MessageReader.HeaderSize, CancellationToken.None);
                _reader.TryPeekHeader(out type, out var length);
                await _reader.FillAsync((int)length, CancellationToken.None);
                _reader.Advance((int)length);
                bytes += length;
            }
            while (type != FrontendMessage.Sync);
        }

        return bytes;
    }

    [Benchmark]
    public int WriteMessages()
    {
        WriteRequest();
        var count = _writer.Count;
        _writer.Clear();
        return count;
    }

    [Benchmark]
    public int ScanSql()
    {
        SqlScanner.Scan(Sql, standardConformingStrings: true, _effects);
        return _effects.Statements;
    }

    [Benchmark]
    public async ValueTask LeaseAndReturn() => _pool.Return(await _pool.AcquireAsync(preferred: null, CancellationToken.None));

    private void WriteRequest()
    {
        _writer.Begin(FrontendMessage.Bind).CString(""u8).CString("P0_1"u8).Int16(0).Int16(1).Int32(6).Bytes("123456"u8).Int16(0).End();
        _writer.Begin(FrontendMessage.Execute).CString(""u8).Int32(0).End();
        _writer.Begin(FrontendMessage.Sync).End();
    }

    private sealed class Connection : IPooledConnection
    {
        public bool IsBroken => false;

        public bool IsLeaving => false;

        public string? NotReusable() => null;

        public ValueTask DisposeAsync() => default;
    }

    /// <summary>The same bytes for ever, one request with each read.</summary>
    private sealed class Repeating(byte[] bytes) : DuplexStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (!buffer.IsEmpty)
            {
                bytes.CopyTo(buffer);
            }

            return new(buffer.IsEmpty ? 0 : bytes.Length);
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => default;

        public override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default) => default;

        public override void Abort(StreamAbort reason)
        {
        }

        public override ValueTask DisposeAsync() => default;
    }
}
