"""Deliver one message to the operator's address: signed, over https, to where it was looked up."""

import hashlib
import hmac
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

import httpx

from rankspace.errors import Forbidden, InvalidInput, Unreachable
from service.signals.addresses import is_public

TIMEOUT_SECONDS = 5.0
SIGNATURE = "X-RankAdaptor-Signature"
MAX_BYTES = 4096

Resolve = Callable[[str, int], Sequence[str]]


def check_url(url: str) -> None:
    """Refuse what a webhook may not go to, as far as the address alone tells.

    Raises:
        InvalidInput: Not https, no host, or a name and password inside.
    """
    parts = _split(url)
    if parts is None or parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        fix = "use https://HOST/PATH without a name or password in it"
        raise InvalidInput("webhook_url", parts.hostname if parts else "", "is no address", fix=fix)


def sign(secret: bytes, body: bytes) -> str:
    """What the header ``X-RankAdaptor-Signature`` carries: HMAC-SHA256 of the body."""
    return f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"


def resolve(host: str, port: int) -> Sequence[str]:
    """Look ``host`` up.

    Raises:
        Unreachable: It has no address at the moment.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{host} cannot be looked up: {error}", hint="check its name") from None
    return [str(address[0]) for *_, address in found]


@dataclass(frozen=True)
class Delivery:
    """Sends to one address.

    Attributes:
        url: Where to; https.
        secret: Signs every body.
        resolve: Looks a host up.
        admits: Whether an address may be connected to.
        tls: Whom to believe that it is the host.
    """

    url: str
    secret: bytes = field(repr=False)
    resolve: Resolve = resolve
    admits: Callable[[str], bool] = is_public
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)

    def send(self, body: bytes) -> None:
        """Deliver ``body`` once; of the answer only the status is read.

        The connection goes to the address that was checked, so that a second look-up cannot lead
        elsewhere; certificate and ``Host`` are still those of the name. Redirects are errors.

        Raises:
            Forbidden: The host has an address that is not public.
            Unreachable: It did not take the message.
        """
        assert len(body) <= MAX_BYTES
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or 443
        checked = httpx.URL(self.url).copy_with(host=self._address(host, port))
        headers = {
            "Host": parts.netloc,
            "Content-Type": "application/json",
            SIGNATURE: sign(self.secret, body),
        }
        self._post(checked, body, headers, host)

    def _post(self, url: httpx.URL, body: bytes, headers: dict[str, str], host: str) -> None:
        extensions = {"sni_hostname": host}
        try:
            with (
                httpx.Client(verify=self.tls, trust_env=False, timeout=TIMEOUT_SECONDS) as client,
                client.stream(
                    "POST", url, content=body, headers=headers, extensions=extensions
                ) as answer,
            ):
                status = answer.status_code
        except httpx.HTTPError as error:
            detail = f"{host} did not take it: {error or type(error).__name__}"
            raise Unreachable(detail, hint="is it up, with a valid certificate?") from None
        if not 200 <= status < 300:
            raise Unreachable(f"{host} answered {status}", hint="redirects are not followed")

    def _address(self, host: str, port: int) -> str:
        """The first address, if all may be connected to: which one is tried is not ours to tell."""
        addresses = self.resolve(host, port)
        if not addresses or not all(map(self.admits, addresses)):
            hint = "webhooks go to public addresses only"
            raise Forbidden(f"{host} is at {', '.join(addresses) or 'no address'}", hint=hint)
        return addresses[0]


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is no number
    except ValueError:
        return None
    return parts
