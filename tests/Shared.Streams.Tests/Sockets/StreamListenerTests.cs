using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using Shared.Streams.Sockets;
using Shared.Streams.Sockets.Epoll;

namespace Shared.Streams.Tests.Sockets;

[UnsupportedOSPlatform("windows")]
public sealed class StreamListenerTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly string _directory = Directory.CreateTempSubdirectory("listener-").FullName;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private string SocketPath => Path.Combine(_directory, "x.sock");

    private ListenAddress UnixAddress => ListenAddress.Parse($"unix:{SocketPath}");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Port_zero_is_a_free_port_and_the_remote_end_is_named()
    {
        await using var listener = StreamListener.Bind(ListenAddress.Parse("127.0.0.1:0"));
        using var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listener.LocalAddress.IPEndPoint!, Cancelled);

        var accepted = await listener.AcceptAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled);
        await using var stream = accepted.Stream;

        Assert.NotEqual(0, listener.LocalAddress.IPEndPoint!.Port);
        Assert.Equal($"127.0.0.1:{((System.Net.IPEndPoint)client.LocalEndPoint!).Port}", accepted.Remote.Replace("[::ffff:127.0.0.1]", "127.0.0.1", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Every_address_is_every_family()
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6, "This machine has no IPv6.");
        await using var listener = StreamListener.Bind(ListenAddress.Parse("[::]:0"));
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        await client.ConnectAsync(new IPEndPoint(IPAddress.Loopback, listener.LocalAddress.IPEndPoint!.Port), Cancelled);

        var accepted = await listener.AcceptAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled);
        await accepted.Stream.DisposeAsync();
    }

    [Fact]
    public async Task Address_that_is_taken_is_named_in_the_error()
    {
        await using var first = StreamListener.Bind(ListenAddress.Parse("127.0.0.1:0"));

        var error = Assert.Throws<IOException>(() => StreamListener.Bind(first.LocalAddress));

        Assert.Contains($"{first.LocalAddress}: the address is in use", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Address_of_another_machine_is_named_in_the_error()
    {
        var error = Assert.Throws<IOException>(() => StreamListener.Bind(ListenAddress.Parse("192.0.2.1:5432")));

        Assert.Contains("Cannot listen on 192.0.2.1:5432: this machine does not have that address", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Directory_that_does_not_exist_is_named_in_the_error()
    {
        var error = Assert.Throws<IOException>(() => StreamListener.Bind(ListenAddress.Parse($"unix:{_directory}/none/x.sock")));

        Assert.Contains($"Cannot listen on unix:{_directory}/none/x.sock: the directory {_directory}/none does not exist", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ListenSocket.DefaultMode)]
    [InlineData(UnixFileMode.UserRead | UnixFileMode.UserWrite)]
    public async Task Unix_socket_has_the_mode_asked_for_and_its_file_goes_with_the_listener(UnixFileMode mode)
    {
        var listener = StreamListener.Bind(UnixAddress, mode);
        Assert.Equal(mode, File.GetUnixFileMode(SocketPath));

        await listener.DisposeAsync();
        Assert.False(File.Exists(SocketPath));

        // Somebody else's file by now.
        await File.WriteAllTextAsync(SocketPath, "", Cancelled);
        await listener.DisposeAsync();
        Assert.True(File.Exists(SocketPath));
    }

    [Fact]
    public async Task Socket_file_that_a_killed_process_left_is_replaced()
    {
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            // A socket that is disposed removes its file, and one that was killed does not; moved away, the file outlives it as well.
            var bound = Path.Combine(_directory, "bound.sock");
            dead.Bind(new UnixDomainSocketEndPoint(bound));
            dead.Listen();
            File.Move(bound, SocketPath);
        }

        Assert.True(File.Exists(SocketPath));

        await using var listener = StreamListener.Bind(UnixAddress);
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath), Cancelled);
        await using var accepted = (await listener.AcceptAsync(Cancelled)).Stream;
    }

    [Fact]
    public async Task Socket_that_another_process_serves_is_left_alone()
    {
        await using var first = StreamListener.Bind(UnixAddress);

        var error = Assert.Throws<IOException>(() => StreamListener.Bind(UnixAddress));

        Assert.Contains(SocketPath, error.Message, StringComparison.Ordinal);
        Assert.True(File.Exists(SocketPath));
    }

    [Fact]
    public async Task File_that_is_no_socket_is_left_alone()
    {
        await File.WriteAllTextAsync(SocketPath, "precious", Cancelled);

        var error = Assert.Throws<IOException>(() => StreamListener.Bind(UnixAddress));

        Assert.Contains(SocketPath, error.Message, StringComparison.Ordinal);
        Assert.Equal("precious", await File.ReadAllTextAsync(SocketPath, Cancelled));
    }

    [Fact]
    public async Task Accepting_ends_with_its_token()
    {
        await using var listener = StreamListener.Bind(UnixAddress);
        using var cancellation = new CancellationTokenSource();
        var accepting = listener.AcceptAsync(cancellation.Token);

        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => accepting.AsTask().WaitAsync(Patience, Cancelled));
    }

    [Fact]
    public async Task Accepting_goes_on_after_it_was_cancelled()
    {
        await using var listener = StreamListener.Bind(UnixAddress);
        using var cancellation = new CancellationTokenSource();
        var cancelled = listener.AcceptAsync(cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled.WaitAsync(Patience, Cancelled));
        var accepting = listener.AcceptAsync(Cancelled).AsTask();

        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath), Cancelled);

        await (await accepting.WaitAsync(Patience, Cancelled)).Stream.DisposeAsync();
    }

    [Fact]
    public async Task Listeners_that_were_closed_leave_nothing_behind()
    {
        Assert.SkipUnless(EpollLoop.IsSupported, "the runtime's own loop is the runtime's");
        const int Listeners = 500;
        var before = EpollLoop.Watched;

        for (var number = 0; number < Listeners; number++)
        {
            var listener = StreamListener.Bind(ListenAddress.Parse("127.0.0.1:0"));
            var accepting = listener.AcceptAsync(Cancelled).AsTask();
            await listener.DisposeAsync();
            await Assert.ThrowsAsync<ObjectDisposedException>(() => accepting.WaitAsync(Patience, Cancelled));
        }

        // Other tests watch some at the same time.
        Assert.InRange(EpollLoop.Watched - before, -Listeners, Listeners / 2);
    }

    [Fact]
    public async Task Accepting_ends_with_the_listener()
    {
        var listener = StreamListener.Bind(UnixAddress);
        var accepting = listener.AcceptAsync(Cancelled);

        await listener.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => accepting.AsTask().WaitAsync(Patience, Cancelled));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => listener.AcceptAsync(Cancelled).AsTask());
    }

    [Fact]
    public async Task Connections_that_came_before_and_while_accepting_are_all_accepted()
    {
        const int Count = 10;
        await using var listener = StreamListener.Bind(ListenAddress.Parse("127.0.0.1:0"));
        using var clients = new SocketBag();
        for (var number = 0; number < Count; number++)
        {
            await clients.ConnectAsync(listener.LocalAddress.IPEndPoint!);
        }

        for (var number = 0; number < Count; number++)
        {
            await (await listener.AcceptAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled)).Stream.DisposeAsync();
        }

        for (var number = 0; number < Count; number++)
        {
            var accepting = listener.AcceptAsync(Cancelled);
            Assert.False(accepting.IsCompleted);
            await clients.ConnectAsync(listener.LocalAddress.IPEndPoint!);
            await (await accepting.AsTask().WaitAsync(Patience, Cancelled)).Stream.DisposeAsync();
        }
    }

    private sealed class SocketBag : IDisposable
    {
        private readonly List<Socket> _sockets = [];

        public async Task ConnectAsync(IPEndPoint address)
        {
            var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            _sockets.Add(socket);
            await socket.ConnectAsync(address, Cancelled);
        }

        public void Dispose() => _sockets.ForEach(static socket => socket.Dispose());
    }
}
