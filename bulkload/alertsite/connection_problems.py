"""Say in plain words why no connection could be made.

In: an exception of aiohttp. Out: a sentence without its full stop, which names the host and what to check.
"""

from __future__ import annotations

import os

import aiohttp


def connection_problem(error: Exception) -> str:
    """What went wrong before a request could be sent; for other exceptions, their name and their text."""
    match error:
        case aiohttp.ClientHttpProxyError():
            return f"The proxy refuses the connection: {error.status} {error.message}; check HTTPS_PROXY"
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
            return f"The TLS certificate of {error.host} is not trusted: {reason}"
        case aiohttp.ClientConnectorSSLError():
            return f"No TLS connection to {_server(error)}: {_reason(error.os_error)}"
        case aiohttp.ClientConnectorDNSError():
            return f"Cannot find {error.host}: check the network or HTTPS_PROXY"
        case aiohttp.ClientProxyConnectionError():
            return f"Cannot connect to the proxy {_server(error)}: {_reason(error.os_error)}; check HTTPS_PROXY"
        case aiohttp.ClientConnectorError():
            return f"Cannot connect to {_server(error)}: {_reason(error.os_error)}"
        case aiohttp.ConnectionTimeoutError():
            return f"No connection in time; --request-timeout gives it longer ({error})"
        case _:
            return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _server(error: aiohttp.ClientConnectorError) -> str:
    return f"{error.host}:{error.port}" if error.port else str(error.host)


def _reason(error: OSError) -> str:
    """The system's words; asyncio puts a sentence of its own in their place, with the address that was tried."""
    if error.errno is not None and "Connect call failed" in str(error):
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__
