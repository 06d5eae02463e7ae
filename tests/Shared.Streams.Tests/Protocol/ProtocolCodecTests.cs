using System.Text;
using Shared.Streams.Protocol;

namespace Shared.Streams.Tests.Protocol;

public sealed class ProtocolCodecTests
{
    public static TheoryData<ControlMessage> ControlMessages => new(new ControlMessage[]
    {
        new Register(1, "replica-1", ["a", "b"]),
        new Register(1, "replica-1", ["a", "b"]) { Name = "replica" },
        new Registered("session", "vpc"),
        new RegistrationRefused("limited", "too many"),
        new Announce([]),
        new ServicesRejected([new RejectedService("x", "why")]),
        new Demand(3),
        new Drain(),
    });

    public static TheoryData<ChannelMessage> ChannelMessages => new(new ChannelMessage[]
    {
        new Open("id", "orders-db"), new Opened(), new Refused("timeout", "late"), new End(), new Reset("revoked", "gone"), new Leaving(),
    });

    [Theory]
    [InlineData("", false)]
    [InlineData(",\"features\":null", false)]
    [InlineData(",\"features\":[]", false)]
    [InlineData(",\"features\":[null,\"Leaving\",\"leaving-2\"]", false)]
    [InlineData(",\"features\":[\"later\",\"leaving\"],\"later\":{}", true)]
    public void Handshake_of_any_age_says_what_its_sender_understands(string features, bool knowsLeaving)
    {
        var json = $"{{\"type\":\"access\",\"clientId\":\"i\",\"clientSecret\":\"s\",\"hostname\":\"h\"{features}}}";

        var hello = Assert.IsType<AccessHostname>(ProtocolCodec.DecodeCarrier(Encoding.UTF8.GetBytes(json)));

        Assert.Equal(("h", knowsLeaving), (hello.Hostname, hello.Knows(TunnelProtocol.LeavingFeature)));
    }

    [Fact]
    public void Handshake_with_features_of_another_kind_is_a_protocol_error() => Assert.Throws<ProtocolException>(() => ProtocolCodec.DecodeCarrier(
        "{\"type\":\"access\",\"clientId\":\"i\",\"clientSecret\":\"s\",\"hostname\":\"h\",\"features\":[{}]}"u8));

    [Theory]
    [MemberData(nameof(ControlMessages))]
    public void Control_message_survives_the_way_there_and_back(ControlMessage message)
    {
        var read = ProtocolCodec.DecodeControl(ProtocolCodec.Encode(message));

        Assert.Equivalent(message, read, strict: true);
        Assert.Equal(message.GetType(), read.GetType());
    }

    [Theory]
    [MemberData(nameof(ChannelMessages))]
    public void Channel_message_survives_the_way_there_and_back(ChannelMessage message) =>
        Assert.Equal(message, ProtocolCodec.DecodeChannel(ProtocolCodec.Encode(message)));

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("not json")]
    [InlineData("""{"type":"launch"}""")]
    [InlineData("""{"type":"demand"}""")]
    [InlineData("""{"type":"demand","channels":"many"}""")]
    [InlineData("""{"type":"demand","channels":99999999999}""")]
    [InlineData("""{"type":"register","version":1,"connector":null,"services":[]}""")]
    [InlineData("""{"type":"register","version":1,"connector":"c"}""")]
    [InlineData("""{"type":"announce","services":{"a":1}}""")]
    [InlineData("""{"type":"announce","services":[[[[[[[[[[[]]]]]]]]]]]}""")]
    public void Malformed_control_message_is_a_protocol_error(string json) =>
        Assert.Throws<ProtocolException>(() => ProtocolCodec.DecodeControl(Encoding.UTF8.GetBytes(json)));

    [Theory]
    [InlineData("""{"type":"open","stream":"1"}""")]
    [InlineData("""{"type":"open","stream":"1","service":null}""")]
    [InlineData("""{"type":"drain"}""")]
    [InlineData("""{"type":1}""")]
    public void Malformed_channel_message_is_a_protocol_error(string json) =>
        Assert.Throws<ProtocolException>(() => ProtocolCodec.DecodeChannel(Encoding.UTF8.GetBytes(json)));

    [Fact]
    public void Unknown_field_is_skipped_and_the_type_may_come_last() =>
        Assert.Equal(
            new Open("1", "db"),
            ProtocolCodec.DecodeChannel("""{"stream":"1","priority":9,"service":"db","type":"open"}"""u8));

    [Fact]
    public void Registration_of_a_connector_from_before_names_has_none_and_one_without_a_name_says_nothing_of_it()
    {
        var register = Assert.IsType<Register>(ProtocolCodec.DecodeControl("""{"type":"register","version":1,"connector":"x","services":[]}"""u8));
        Assert.Null(register.Name);
        Assert.DoesNotContain("name", Encoding.UTF8.GetString(ProtocolCodec.Encode(register)), StringComparison.Ordinal);
    }

    [Fact]
    public void One_line_is_short_and_printable()
    {
        Assert.Equal("a?b?c", ProtocolCodec.OneLine("a\nbäc"));
        Assert.Equal(500, ProtocolCodec.OneLine(new string('x', 10_000)).Length);
        Assert.Equal("", ProtocolCodec.OneLine(null));
    }
}
