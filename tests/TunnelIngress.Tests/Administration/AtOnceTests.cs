using System.Collections.Immutable;
using TunnelIngress.Access;
using TunnelIngress.State;
using TunnelIngress.Tests.State;

namespace TunnelIngress.Tests.Administration;

/// <summary>Administration commands that run at the same time, in processes of their own: none undoes what another one does.</summary>
public sealed class AtOnceTests : CommandTest
{
    private const int Rounds = 3;

    [Fact]
    public async Task Settings_of_a_pool_are_all_kept()
    {
        await FillAsync();
        await DoAsync("pool", "set", "orders-db", "--user", "app");
        string[] keys = ["Max", "PreparedStatements", "Reserve", "QueryTimeoutSeconds", "ConnectTimeoutSeconds", "ServerLifetimeSeconds"];
        for (var round = 1; round <= Rounds; round++)
        {
            var value = $"{round}";
            await Task.WhenAll(keys.Select(key => DoAsync("pool", "set", "orders-db", "--set", $"{key}={value}")));

            var settings = (await LoadAsync()).Pools["orders-db"].Settings;
            Assert.Equal(keys.Order(StringComparer.Ordinal).Select(key => $"{key}={value}"), settings.Remove("User").Select(static setting => $"{setting.Key}={setting.Value}").Order(StringComparer.Ordinal));
        }
    }

    [Fact]
    public async Task Settings_of_a_service_are_all_kept()
    {
        await FillAsync();
        await DoAsync("service", "set", "orders-db", "--protocol", "https");
        for (var round = 1; round <= Rounds; round++)
        {
            await Task.WhenAll(
                DoAsync("service", "set", "orders-db", "--hostname", $"orders-{round}.example.com"),
                DoAsync("service", "set", "orders-db", "--access", round % 2 == 1 ? "public" : "service-token"),
                DoAsync("service", "set", "orders-db", "--host-header", $"host-{round}"),
                DoAsync("service", "set", "orders-db", "--server-name", $"server-{round}"),
                DoAsync("service", "set", "orders-db", "--tls-verify", round % 2 == 1 ? "off" : "on"),
                DoAsync("service", "set", "orders-db", "--idle-timeout", $"{round}m"));

            var service = (await LoadAsync()).Services["orders-db"];
            Assert.Equal(
                ($"orders-{round}.example.com", new WebOrigin(
                    true, round % 2 == 1 ? WebAccess.Public : WebAccess.ServiceToken, $"host-{round}", round % 2 == 0, null, $"server-{round}", TimeSpan.FromMinutes(round))),
                (service.Hostname, service.Web));
        }
    }

    [Fact]
    public async Task Services_of_a_token_are_all_granted_and_withdrawn()
    {
        await FillAsync();
        await DoAsync("service", "add", "wiki", "--hostname", "wiki.example.com", "--tunnel", "vpc");
        var id = (await JsonAsync("token", "create", "app", "--access", "orders-db")).GetProperty("clientId").GetString()!;

        await Task.WhenAll(
            DoAsync("token", "grant", id, "--access", "users-db"), DoAsync("token", "grant", id, "--access", "wiki"), DoAsync("token", "withdraw", id, "--access", "orders-db"));

        Assert.Equal(ImmutableSortedSet.Create("users-db", "wiki"), (await LoadAsync()).Tokens[id].Scope.Services);
    }

    [Fact]
    public async Task Rotations_are_all_good_and_have_one_salt()
    {
        await FillAsync();
        var (token, _) = Samples.NewToken(Samples.Access("orders-db"));
        await (await Samples.OpenAsync(State.Path)).AddTokenAsync(token with { Secrets = [token.Secrets[0] with { Scram = null }] }, Cancel);

        var rotated = await Task.WhenAll(Enumerable.Range(0, TokenSecret.MaxValid - 1).Select(_ => JsonAsync("token", "rotate", token.ClientId)));

        var secrets = (await LoadAsync()).Tokens[token.ClientId].Secrets;
        Assert.Equal(Enumerable.Range(1, TokenSecret.MaxValid).Reverse(), secrets.Select(static secret => secret.Version));
        Assert.All(rotated, secret => Assert.Contains(
            secrets, known => known.Hash.AsSpan().SequenceEqual(AccessGate.Hash(secret.GetProperty("clientSecret").GetString()!))));
        Assert.Single(secrets.Where(static secret => secret.Scram is not null).Select(static secret => secret.Scram!.ToString()!.Split('$')[1]).Distinct());
    }
}
