"""Pictures from URLs that clients name, without lending them the operator's network (SSRF). Off by default.

Only https, to a name, on an allowed port. A name is resolved once, at the moment of connecting; every address that it
has must be public, and the connection goes to these addresses, so a name that changes its mind gains nothing. The
certificate is checked against the name. Redirects are followed by hand, with all of this done again. Nothing of the
client's request and nothing of the environment (proxies, cookies, netrc) goes along.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore2

from service import __version__
from service.errors import BodyTooLarge, FetchFailed, UrlNotAllowed
from service.settings import Settings
from service.uploads import Picture

Address = IPv4Address | IPv6Address
Resolve = Callable[[str], Awaitable[Sequence[Address]]]

MAX_REDIRECTS = 3
_TRIES = 4  # addresses of a name with many
_CONNECT_SECONDS = 3.0
_RESOLVERS = 8

_REQUEST_HEADERS: Mapping[bytes | str, bytes | str] = {
    "Accept": "image/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": f"likeness/{__version__}",
}

_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{1,2048}")
# At least two labels, the last of which begins with a letter: no form of an IP address does.
_NAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")

_NAT64 = ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ip_network("2000::/3")
# Where clouds keep their metadata, and what is_global of some version of Python takes for public.
_DENIED = tuple(
    ip_network(network)
    for network in (
        "100.64.0.0/10",  # carriers' NAT; 100.100.100.200: metadata of Alibaba Cloud
        "168.63.129.16",  # metadata of Azure's hosts, at a public address
        "169.254.0.0/16",  # link-local; 169.254.169.254: metadata of most clouds
        "192.0.0.0/24",  # protocols; 192.0.0.192: metadata of Oracle Cloud
        "192.88.99.0/24",  # relays of 6to4
        "fc00::/7",  # private; fd00:ec2::254 and fd20:ce::254: metadata of AWS and Google Cloud
        "fe80::/10",  # link-local
        "2001::/23",  # protocols; 2001::/32: Teredo, which tunnels to any IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, the same
        "3fff::/20",  # documentation
    )
)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public Internet, tunnels into other networks not included.

    Of the addresses that carry an IPv4 address only NAT64's can be public (DNS64 gives them to networks without IPv4);
    they are as public as what they carry. Mapped and translated ones lie outside of 2000::/3; ISATAP's are known by
    their interface identifier.
    """
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        isatap = (int(address) >> 32) & 0xFDFFFFFF == 0x5EFE
        if isatap or address not in _GLOBAL_UNICAST:
            return False
    special = address.is_multicast or address.is_reserved or any(address in network for network in _DENIED)
    return address.is_global and not special


class Fetcher:
    """Fetches pictures; `resolve`, `network` and `tls` are how names, connections and certificates come about."""

    def __init__(
        self,
        settings: Settings,
        *,
        resolve: Resolve | None = None,
        network: httpcore2.AsyncNetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        # A name whose server is slow blocks its thread: these are the fetcher's own, so that nothing else waits.
        self._threads = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolve")
        self._network = _PublicNetwork(resolve or self._resolve, network or httpcore2.AnyIOBackend())
        self._tls = tls or ssl.create_default_context()

    async def fetch(self, url: str, *, seconds: float) -> Picture:
        """The picture at `url`, with no claim about its format.

        Raises UrlNotAllowed, BodyTooLarge, and FetchFailed if there is no picture within `seconds` or
        settings.fetch_timeout.
        """
        seconds = min(seconds, self._settings.fetch_timeout)
        try:
            async with asyncio.timeout(seconds):
                return Picture(await self._follow(url))
        except TimeoutError:
            raise FetchFailed(f"there was no picture within {seconds:g} seconds") from None
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError, ssl.SSLError):
            raise FetchFailed("the host cannot be reached or does not answer as it should") from None

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _follow(self, url: str) -> bytes:
        for _ in range(1 + MAX_REDIRECTS):
            target = self._checked(url)
            async with (
                httpcore2.AsyncHTTPConnection(target.origin, self._tls, network_backend=self._network) as connection,
                connection.stream("GET", target, headers=_REQUEST_HEADERS) as response,
            ):
                location = _header(response, b"location")
                if response.status not in (301, 302, 303, 307, 308) or not location:
                    return await _picture(response, self._settings.max_body_bytes)
                url = _joined(url, location)
        raise FetchFailed(f"there were more than {MAX_REDIRECTS} redirects")

    def _checked(self, url: str) -> httpcore2.URL:
        """The parts of a URL that may be fetched; they, and not the text, are what is connected to."""
        if not _URL.fullmatch(url):
            raise UrlNotAllowed("the URL is longer than 2048 characters or has others than RFC 3986 allows")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UrlNotAllowed("the URL cannot be read") from None
        host = parts.hostname or ""
        if parts.scheme != "https":
            raise UrlNotAllowed("only https is fetched")
        if "@" in parts.netloc:
            raise UrlNotAllowed("a URL with a user is not fetched")
        if not _NAME.fullmatch(host):
            raise UrlNotAllowed("the host is not a fully qualified name")
        if (443 if port is None else port) not in self._settings.fetch_ports:
            raise UrlNotAllowed("the port is not one that is fetched from")
        if self._settings.fetch_hosts and not _listed(host, self._settings.fetch_hosts):
            raise UrlNotAllowed("the host is not one that is fetched from")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return httpcore2.URL(scheme="https", host=host, port=port, target=target)

    async def _resolve(self, host: str) -> Sequence[Address]:
        # The dot makes the name absolute: else resolv.conf's search list may find a cluster's own service of that name.
        name = f"{host}."
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self._threads, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            )
        except OSError:
            return ()
        return tuple(dict.fromkeys(ip_address(each[4][0]) for each in found))


class _PublicNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to a name if every address that it has is public, and then to one of just these addresses."""

    def __init__(self, resolve: Resolve, network: httpcore2.AsyncNetworkBackend) -> None:
        self._resolve = resolve
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._resolve(host)
        # The same words for a private address and for none: which names there are inside is nobody's business.
        if not addresses or not all(map(is_public, addresses)):
            raise UrlNotAllowed("the host has no public address")
        for address in addresses[:_TRIES]:
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return await self._network.connect_tcp(
                    str(address), port, timeout=timeout or _CONNECT_SECONDS, socket_options=socket_options
                )
        raise httpcore2.ConnectError


async def _picture(response: httpcore2.Response, max_bytes: int) -> bytes:
    """The body of an answer that says it is a picture, given up as soon as it is known to be too large."""
    too_large = BodyTooLarge(f"the limit is {max_bytes} bytes")
    if response.status != 200:
        raise FetchFailed(f"the host answered {response.status}")
    if not _header(response, b"content-type").lower().startswith("image/"):
        raise FetchFailed("the host answered with something else than a picture")
    if _header(response, b"content-encoding").lower() not in ("", "identity"):
        raise FetchFailed("the host answered with a compressed body")
    declared = _header(response, b"content-length")
    if declared.isdigit() and int(declared) > max_bytes:
        raise too_large
    content = bytearray()
    async for chunk in response.aiter_stream():
        content += chunk
        if len(content) > max_bytes:
            raise too_large
    return bytes(content)


def _header(response: httpcore2.Response, name: bytes) -> str:
    """The value of a header, several of them joined, and empty where there is none."""
    return b", ".join(value for key, value in response.headers if key.lower() == name).decode("latin-1")


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise UrlNotAllowed("the host redirects to what is no URL") from None


def _listed(host: str, patterns: Iterable[str]) -> bool:
    return any(host == each or (each.startswith("*.") and host.endswith(each[1:])) for each in patterns)
