"""service.fetch: pictures come from public hosts over checked TLS, and no URL leads anywhere else."""

import asyncio
import gzip
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import httpcore2
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from service.errors import PROBLEMS, BodyTooLarge, FetchFailed, LikenessError, UrlNotAllowed
from service.fetch import MAX_REDIRECTS, Fetcher, is_public
from service.settings import Settings

PUBLIC, OTHER = "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"
URL = "https://photos.example.com/a.jpg"
PICTURE = b"\xff\xd8\xff any bytes, their format is looked at later"
CA = trustme.CA()
NAMES = ("photos.example.com", "cdn.example.com", "inside.example.com")

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]
Answers = Mapping[str, bytes | Script]


def answer(body: bytes = PICTURE, *, status: int = 200, **headers: str) -> bytes:
    """An HTTP answer; a keyword is a header, None of one of the usual ones leaves it out."""
    lines = {"content_type": "image/jpeg", "content_length": str(len(body))} | headers
    head = [f"HTTP/1.1 {status} Fine", *(f"{name.replace('_', '-')}: {value}" for name, value in lines.items())]
    return "\r\n".join([*head, "", ""]).encode() + body


def redirect(location: str, status: int = 302) -> bytes:
    """A redirect, with a body that must not be taken for the picture."""
    return answer(b"not this", status=status, location=location)


class World:
    """One TLS server that stands in for every public host, the names that there are, and what became of a fetch."""

    def __init__(self, answers: Answers, names: Mapping[str, Sequence[str]], unreachable: Iterable[str] = ()) -> None:
        self.answers, self.names, self.unreachable = answers, names, set(unreachable)
        self.resolved: list[str] = []
        self.connected: list[tuple[str, int]] = []
        self.indicated: list[str | None] = []
        self.heads: list[list[str]] = []
        self.port = 0

    async def resolve(self, host: str) -> Sequence[IPv4Address | IPv6Address]:
        """The addresses of a name."""
        self.resolved.append(host)
        return [ip_address(each) for each in self.names.get(host, ())]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request of a connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            self.heads.append(head)
            said = self.answers[head[0].split()[1]]
            if isinstance(said, bytes):
                writer.write(said)
            else:
                await said(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self, certificate: trustme.LeafCert) -> AsyncIterator[None]:
        """The server."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(tls)
        tls.sni_callback = lambda connection, name, context: self.indicated.append(name)
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()


class Network(httpcore2.AsyncNetworkBackend):
    """Writes down which address was asked for, and connects to the world's server instead."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        self.world.connected.append((host, port))
        if host in self.world.unreachable:
            raise httpcore2.ConnectError
        return await httpcore2.AnyIOBackend().connect_tcp("127.0.0.1", self.world.port)


def trusting() -> ssl.SSLContext:
    """A client's context that trusts the test's authority alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    return context


TRUSTING = trusting()
CERTIFICATE = CA.issue_cert(*NAMES)


def fetch(
    world: World,
    url: str = URL,
    certificate: trustme.LeafCert = CERTIFICATE,
    tls: ssl.SSLContext | None = TRUSTING,
    **settings: Any,
) -> bytes:
    """What a fetch gives in that world, or raises."""

    async def scene() -> bytes:
        fetcher = Fetcher(Settings(**settings), resolve=world.resolve, network=Network(world), tls=tls)
        try:
            async with world.running(certificate):
                picture = await fetcher.fetch(url, seconds=60.0)
                assert picture.media_type is None
                return picture.content
        finally:
            fetcher.close()

    return asyncio.run(scene())


def one_host(said: bytes | Script) -> World:
    """A world with one public host that says this at /a.jpg."""
    return World({"/a.jpg": said}, {"photos.example.com": [PUBLIC]})


# Addresses


PUBLIC_ADDRESSES = (
    "1.1.1.1",
    "8.8.8.8",
    PUBLIC,
    "172.15.0.1",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "192.0.1.1",
    "223.255.255.254",
    OTHER,
    "2001:4860:4860::8888",
    "2a00:1450:4001::1",
    "64:ff9b::808:808",  # 8.8.8.8 behind NAT64
)
OTHER_ADDRESSES = (
    # this host, private, shared and link-local networks
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "::",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    # metadata of clouds
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::a9fe:a9fe",
    # documentation, benchmarks, protocols, reserved, multicast, broadcast
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "100::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "ff02::1",
    "ff0e::1",
    "4000::1",
    # private IPv4 inside of IPv6: mapped, compatible, translated, NAT64, its local prefix, 6to4, Teredo, ISATAP
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "::169.254.169.254",
    "::ffff:0:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::c000:c0",
    "64:ff9b::6464:64c8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "2001:0:a9fe:a9fe::1",
    "2001:0:808:808:0:ffff:f5ff:fffe",
    "2a00:1450::5efe:a9fe:a9fe",
    "2a00:1450::200:5efe:a00:1",
    # public IPv4 in a tunnel: nobody's host has such an address
    "::ffff:8.8.8.8",
    "2002:808:808::1",
    "2a00:1450::5efe:808:808",
)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_public_address_is_public(address: str) -> None:
    """Hosts of the Internet may be fetched from, also at the edges of private networks and behind NAT64."""
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", OTHER_ADDRESSES)
def test_no_other_address_is_public(address: str) -> None:
    """Nothing inside, nothing special and no tunnel into it may be fetched from."""
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", OTHER_ADDRESSES)
def test_a_name_with_one_such_address_is_not_connected_to(address: str) -> None:
    """One address that is not public, first or last, spoils the name, and no connection is tried."""
    for addresses in ([address], [address, PUBLIC], [PUBLIC, OTHER, address]):
        world = World({}, {"photos.example.com": addresses})
        with pytest.raises(UrlNotAllowed) as refused:
            fetch(world)
        assert world.connected == []
        assert address.partition("%")[0] not in refused.value.detail


@given(st.ip_addresses(v=4))
def test_ipv6_never_makes_an_ipv4_address_more_public(inner: IPv4Address) -> None:
    """Behind NAT64 an address is as public as it is; mapped, tunnelled or translated in any other way it never is."""
    bits = int(inner)
    assert is_public(IPv6Address((0x64FF9B << 96) | bits)) == is_public(inner)
    site = int(IPv6Address("2a00:1450:4001::"))
    for outer in (
        bits,
        (0xFFFF << 32) | bits,
        (0xFFFF << 48) | bits,
        (0x64FF9B0001 << 80) | bits,
        (0x2002 << 112) | (bits << 80) | 1,
        (0x20010000 << 96) | (bits << 64) | 1,
        (0x20010000 << 96) | (bits ^ 0xFFFFFFFF),
        site | (0x5EFE << 32) | bits,
        site | (0x2005EFE << 32) | bits,
    ):
        assert not is_public(IPv6Address(outer))


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_public(address: IPv6Address) -> None:
    """Outside of 2000::/3 nothing is public except NAT64, whatever a version of Python thinks of it."""
    if is_public(address):
        assert int(address) >> 125 == 1 or int(address) >> 32 == 0x64FF9B << 64


# URLs


@pytest.mark.parametrize(
    "url",
    [
        "",
        "photos.example.com/a.jpg",
        "//photos.example.com/a.jpg",
        "http://photos.example.com/a.jpg",
        "ftp://photos.example.com/a.jpg",
        "file:///etc/passwd",
        "file://photos.example.com/etc/passwd",
        "gopher://photos.example.com/",
        "data:image/png;base64,AAAA",
        "unix:/var/run/docker.sock",
        "https:///a.jpg",
        "https:photos.example.com/a.jpg",
        # no names
        "https://localhost/",
        "https://photos/",
        "https://127.0.0.1/",
        "https://93.184.216.34/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0x0.0x0.0x1/",
        "https://0177.0.0.1/",
        "https://127.0.0.1./",
        "https://1.2.3.4.5/",
        "https://[::1]/",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://[/",
        "https://photos.example.com./",
        "https://photos..example.com/",
        "https://-photos.example.com/",
        "https://photos.example.com%2f.example.org/",
        "https://photos%2eexample.com/",
        "https://" + "a" * 64 + ".example.com/",
        "https://" + "a." * 127 + "com/",
        # users
        "https://user@photos.example.com/",
        "https://user:secret@photos.example.com/",
        "https://photos.example.com:443@inside.example.com/",
        "https://@photos.example.com/",
        # ports
        "https://photos.example.com:80/",
        "https://photos.example.com:8443/",
        "https://photos.example.com:0/",
        "https://photos.example.com:-1/",
        "https://photos.example.com:65536/",
        "https://photos.example.com:a/",
        # characters
        "https://photos.example.com\\@inside.example.com/",
        "https://photos.example.com/a b",
        "https://photos.example.com/\r\nHost: inside",
        "https://photos.example.com/\t",
        " https://photos.example.com/",
        "https://photos.example.com/\x00",
        "https://фото.example.com/",
        "https://photos.example.com/é",
        "https://photos。example.com/",
        "https://photos.example.com/" + "a" * 2048,
    ],
)
def test_a_url_that_is_not_plain_https_to_a_name_is_refused(url: str) -> None:
    """Other schemes, addresses in any spelling, users, ports, odd characters: refused before any name is looked up."""
    world = one_host(answer())
    with pytest.raises(UrlNotAllowed):
        fetch(world, url)
    assert (world.resolved, world.connected) == ([], [])


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://photos.example.com", "/"),
        ("https://photos.example.com:443/a", "/a"),
        ("HTTPS://Photos.Example.COM/A?b=c#d", "/A?b=c"),
        ("https://photos.example.com//etc/passwd", "//etc/passwd"),
        ("https://photos.example.com?x", "/?x"),
        ("https://photos.example.com/%20;a=1", "/%20;a=1"),
    ],
)
def test_what_is_asked_for_is_what_the_url_says(url: str, target: str) -> None:
    """Host and target are those of the URL, without its fragment."""
    world = World({target: answer()}, {"photos.example.com": [PUBLIC]})
    assert fetch(world, url) == PICTURE
    assert world.heads[0][0] == f"GET {target} HTTP/1.1"


def test_a_list_of_hosts_leaves_no_others() -> None:
    """With fetch_hosts only these are fetched from, with `*.` what is below a name and not the name or its likes."""
    hosts = frozenset({"cdn.example.com", "*.photos.net"})
    for host, allowed in {
        "cdn.example.com": True,
        "a.photos.net": True,
        "a.b.photos.net": True,
        "photos.net": False,
        "evilphotos.net": False,
        "photos.example.com": False,
        "cdn.example.com.evil.org": False,
    }.items():
        world = World({"/": answer()}, {host: [PUBLIC]})
        if allowed:
            assert fetch(world, f"https://{host}/", CA.issue_cert(host), fetch_hosts=hosts) == PICTURE
        else:
            with pytest.raises(UrlNotAllowed):
                fetch(world, f"https://{host}/", fetch_hosts=hosts)
            assert world.resolved == []


def test_another_port_has_to_be_configured() -> None:
    """A port of fetch_ports is connected to; 443 too only if it is one of them."""
    world = one_host(answer())
    assert fetch(world, "https://photos.example.com:8443/a.jpg", fetch_ports=frozenset({8443})) == PICTURE
    assert world.connected == [(PUBLIC, 8443)]
    assert "Host: photos.example.com:8443" in world.heads[0]
    with pytest.raises(UrlNotAllowed):
        fetch(world, URL, fetch_ports=frozenset({8443}))


# Connections


def test_a_picture_comes_from_the_address_that_was_checked() -> None:
    """One look-up, one connection to its address, the name in SNI and Host, and nothing of the caller in headers."""
    world = one_host(answer())
    assert fetch(world) == PICTURE
    assert world.resolved == ["photos.example.com"]
    assert world.connected == [(PUBLIC, 443)]
    assert world.indicated == ["photos.example.com"]
    head = dict(line.split(": ", 1) for line in world.heads[0][1:] if line)
    assert head.pop("User-Agent").startswith("likeness/")
    assert head == {
        "Host": "photos.example.com",
        "Accept": "image/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }


def test_the_next_address_is_tried() -> None:
    """An address that cannot be reached leaves the name's other ones; if none can, the fetch failed."""
    world = World({"/a.jpg": answer()}, {"photos.example.com": [OTHER, PUBLIC]}, unreachable=[OTHER])
    assert fetch(world) == PICTURE
    assert world.connected == [(OTHER, 443), (PUBLIC, 443)]
    world.unreachable = {OTHER, PUBLIC}
    with pytest.raises(FetchFailed):
        fetch(world)


def test_a_name_that_changes_its_mind_gains_nothing() -> None:
    """DNS rebinding: what the name is after the check is not asked; at the next hop it is, and checked again."""

    class Rebinding(World):
        async def resolve(self, host: str) -> Sequence[IPv4Address | IPv6Address]:
            self.resolved.append(host)
            return [ip_address(PUBLIC if len(self.resolved) == 1 else "127.0.0.1")]

    world = Rebinding({"/a.jpg": answer()}, {})
    assert fetch(world) == PICTURE
    assert (len(world.resolved), world.connected) == (1, [(PUBLIC, 443)])
    world = Rebinding({"/a.jpg": redirect("/b.jpg"), "/b.jpg": answer()}, {})
    with pytest.raises(UrlNotAllowed):
        fetch(world)
    assert (len(world.resolved), world.connected) == (2, [(PUBLIC, 443)])


@pytest.mark.parametrize(
    "certificate",
    [
        CA.issue_cert("other.example.com"),
        CA.issue_cert(PUBLIC),
        CA.issue_cert(*NAMES, not_before=datetime(2000, 1, 1), not_after=datetime(2001, 1, 1)),
        trustme.CA().issue_cert(*NAMES),
    ],
    ids=["another name", "the address", "expired", "unknown authority"],
)
def test_the_certificate_must_be_the_names(certificate: trustme.LeafCert) -> None:
    """A certificate of another name, an expired one and one of nobody are refused, and no request is sent."""
    world = one_host(answer())
    with pytest.raises(FetchFailed):
        fetch(world, certificate=certificate)
    assert world.heads == []


def test_by_default_only_known_authorities_count() -> None:
    """Without a context that trusts the test's authority its certificates are refused."""
    with pytest.raises(FetchFailed):
        fetch(one_host(answer()), tls=None)


def test_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies of the environment would resolve and connect themselves: they are not used."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(one_host(answer())) == PICTURE


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(status: int) -> None:
    """Relative and absolute, to another public host, which is looked up, connected to and checked for itself."""
    world = World(
        {
            "/a.jpg": redirect("../b.jpg", status),
            "/b.jpg": redirect("https://cdn.example.com/c", status),
            "/c": answer(),
        },
        {"photos.example.com": [PUBLIC], "cdn.example.com": [OTHER]},
    )
    assert fetch(world) == PICTURE
    assert world.connected == [(PUBLIC, 443), (PUBLIC, 443), (OTHER, 443)]
    assert world.indicated == ["photos.example.com", "photos.example.com", "cdn.example.com"]


@pytest.mark.parametrize(
    "location",
    [
        "https://inside.example.com/",
        "//inside.example.com/",
        "http://photos.example.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://photos.example.com:8080/",
        "https://user@photos.example.com/",
        "file:///etc/passwd",
        "//[",
        "https://[::1/",
        "/é",
        "/" + "a" * 2100,
    ],
)
def test_a_redirect_is_checked_like_the_first_url(location: str) -> None:
    """A public host cannot send the service to where a client could not."""
    names = {"photos.example.com": [PUBLIC], "inside.example.com": ["10.0.0.1"]}
    world = World({"/a.jpg": redirect(location), "/": answer()}, names)
    with pytest.raises(UrlNotAllowed):
        fetch(world)
    assert world.connected == [(PUBLIC, 443)]


def test_redirects_come_to_an_end() -> None:
    """Three are followed, not four, nor for ever; one without a place to go to is no picture."""
    answers: dict[str, bytes | Script] = {f"/{hop}": redirect(f"/{hop + 1}") for hop in range(9)}
    names = {"photos.example.com": [PUBLIC]}
    world = World(answers | {f"/{MAX_REDIRECTS}": answer()}, names)
    assert fetch(world, "https://photos.example.com/0") == PICTURE
    world = World(answers, names)
    with pytest.raises(FetchFailed, match="redirects"):
        fetch(world, "https://photos.example.com/0")
    assert len(world.connected) == MAX_REDIRECTS + 1
    with pytest.raises(FetchFailed, match="302"):
        fetch(one_host(answer(status=302)))


# Answers


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (answer(status=404), "404"),
        (answer(status=500), "500"),
        (answer(status=206), "206"),
        (answer(status=201), "201"),
        (answer(content_type="text/html"), "something else"),
        (answer(content_type="application/octet-stream"), "something else"),
        (answer(content_type=""), "something else"),
        (answer(gzip.compress(PICTURE), content_encoding="gzip"), "compressed"),
        (answer(content_encoding="br"), "compressed"),
        (answer(content_encoding="identity, gzip"), "compressed"),
        (answer(transfer_encoding="gzip, chunked"), "as it should"),
        (answer(content_length="5000"), "as it should"),
        (answer(content_length="-1"), "as it should"),
        (b"", "as it should"),
        (b"\x00\xff" * 100, "as it should"),
        (b"HTTP/1.1 200 Fine\r\nno header\r\n\r\n", "as it should"),
        (b"HTTP/1.1 200 Fine\r\n" + b"A: b\r\n" * 100_000, "as it should"),
        (b"220 smtp.example.com ESMTP\r\n", "as it should"),
    ],
)
def test_an_answer_that_is_no_picture_is_a_failure(said: bytes, why: str) -> None:
    """Other statuses, other types, compressed bodies, bodies cut short and what is no HTTP: typed, and told apart."""
    with pytest.raises(FetchFailed, match=why):
        fetch(one_host(said))


def test_a_declared_body_that_is_too_large_is_not_read() -> None:
    """Content-Length over the limit is enough; up to the limit, everything is read."""
    with pytest.raises(BodyTooLarge, match="1000 bytes"):
        fetch(one_host(answer(b"", content_length="1001")), max_body_bytes=1000)
    assert fetch(one_host(answer(bytes(1000))), max_body_bytes=1000) == bytes(1000)


def test_an_endless_body_is_cut() -> None:
    """A body without a length is given up as soon as it is over the limit."""

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 Fine\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + bytes(0x1000) + b"\r\n")
            await writer.drain()

    with pytest.raises(BodyTooLarge):
        fetch(one_host(endless), max_body_bytes=100_000)


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200", answer(content_length="5000")])
def test_a_slow_host_is_given_up(beginning: bytes) -> None:
    """Whether it never answers, stops in its head or drips its body: all of it together has fetch_timeout."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        for _ in range(1000):
            await writer.drain()
            await asyncio.sleep(0.01)
            writer.write(b"A" if beginning else b"")

    with pytest.raises(FetchFailed, match=r"within 0\.1 seconds"):
        fetch(one_host(drip), fetch_timeout=0.1)


def test_a_slow_name_is_given_up() -> None:
    """Time for looking up a name counts, too."""

    class Slow(World):
        async def resolve(self, host: str) -> Sequence[IPv4Address | IPv6Address]:
            await asyncio.sleep(60)
            return ()

    with pytest.raises(FetchFailed, match="within"):
        fetch(Slow({}, {}), fetch_timeout=0.05)


# What is told


def test_a_name_inside_and_no_name_look_the_same() -> None:
    """A client cannot find out which names the operator's network has, and no address is told."""
    told = []
    for names in ({}, {"photos.example.com": ["10.1.2.3"]}, {"photos.example.com": []}):
        with pytest.raises(UrlNotAllowed) as refused:
            fetch(World({}, names))
        told.append(refused.value.detail)
    assert set(told) == {"the host has no public address"}


def test_the_log_names_no_host(caplog: pytest.LogCaptureFixture) -> None:
    """From the level info on, which is the chattiest that libraries have here, nothing is said of a fetch."""
    caplog.set_level(logging.INFO)
    answers = {"/a.jpg": redirect("https://cdn.example.com/b"), "/b": answer()}
    assert fetch(World(answers, {name: [PUBLIC] for name in NAMES})) == PICTURE
    assert caplog.messages == []


def test_errors_are_typed() -> None:
    """Both are the client's to mend: a 5xx would be repeated by proxies and counted as the service's fault."""
    kinds: tuple[type[LikenessError], ...] = (UrlNotAllowed, FetchFailed)
    assert [(PROBLEMS[kind].status, PROBLEMS[kind].code) for kind in kinds] == [
        (422, "url-not-allowed"),
        (424, "fetch-failed"),
    ]


def test_names_are_looked_up_as_absolute_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver's search list is not used, every address is looked at once, and no such name is no address."""
    asked = []

    def getaddrinfo(host: str, port: None, **options: Any) -> list[Any]:
        asked.append(host)
        if host.startswith("photos"):
            return [(0, 0, 0, "", (each, 0)) for each in (PUBLIC, PUBLIC, OTHER)]
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    fetcher = Fetcher(Settings())
    try:
        assert asyncio.run(fetcher._resolve("photos.example.com")) == (ip_address(PUBLIC), ip_address(OTHER))
        assert asyncio.run(fetcher._resolve("no.example.com")) == ()
    finally:
        fetcher.close()
    assert asked == ["photos.example.com.", "no.example.com."]
