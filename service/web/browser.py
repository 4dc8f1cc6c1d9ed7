"""What keeps a browser's session its own: the cookie's name and flags, and where a form is from."""

from urllib.parse import urlsplit

from fastapi import Request, Response

from rankspace.errors import Forbidden, UnreadableInput
from service.access.logins import SESSION_SECONDS
from service.settings import Settings

COOKIE = "rka_session"


def set_cookie(request: Request, settings: Settings, answer: Response, secret: str) -> None:
    """Hand over the session; no script reads it, and no other site's request carries it."""
    answer.set_cookie(
        _name(request, settings),
        secret,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=_is_secure(request, settings),
    )


def clear_cookie(request: Request, settings: Settings, answer: Response) -> None:
    """Have the browser forget the session."""
    answer.delete_cookie(
        _name(request, settings),
        httponly=True,
        samesite="strict",
        secure=_is_secure(request, settings),
    )


def cookie(request: Request, settings: Settings) -> str | None:
    """Return the session's secret, under the one name that this connection may use."""
    return request.cookies.get(_name(request, settings))


def check_origin(request: Request, settings: Settings) -> None:
    """Refuse a form that a page of another site has sent.

    Every current browser says ``Sec-Fetch-Site`` over https and to this machine itself, and
    otherwise ``Origin``; a program that says neither has no session to be misused.

    Raises:
        Forbidden: It comes from elsewhere.
        UnreadableInput: ``Origin`` is no address.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    is_ours = site in ("same-origin", "none") if site else _is_ours(request, settings, origin)
    if not is_ours:
        hint = "open the status page itself; behind a proxy set RANKADAPTOR_ALLOWED_HOSTS"
        raise Forbidden(f"the form comes from another site: {origin or site!r}", hint=hint)


def _is_ours(request: Request, settings: Settings, origin: str | None) -> bool:
    if origin is None:
        return True
    try:
        sender = urlsplit(origin)
    except ValueError as error:
        fix = "send what a browser sends, or leave it out"
        raise UnreadableInput("Origin", origin, f"is no address: {error}", fix=fix) from None
    named = [name.lower() for name in settings.allowed_hosts]
    return sender.netloc == request.headers.get("host") or sender.hostname in named


def _name(request: Request, settings: Settings) -> str:
    """``__Host-``: set by this very host over https, and by no other."""
    return f"__Host-{COOKIE}" if _is_secure(request, settings) else COOKIE


def _is_secure(request: Request, settings: Settings) -> bool:
    return settings.secure_cookies or request.url.scheme == "https"
