"""Whose certificates a client of the service trusts."""

import ssl

import httpx


def tls_of(url: str) -> ssl.SSLContext:
    """Trust the authorities that httpx brings along where ``url`` is of HTTPS, else nobody.

    To read their certificates is nearly all that it takes to make a client. Without them any TLS
    connection is refused, should one be asked for all the same.
    """
    if httpx.URL(url).scheme == "https":
        return httpx.create_ssl_context(trust_env=False)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
