"""Who may call: keys from a file, and the hosts that a server without keys answers to."""

import hmac
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from speechllm.errors import ConfigError, DataError
from speechllm.serve.api_error import ApiError

LEAST_LETTERS = 16


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_keys(host: str, path: Path | None) -> list[bytes]:
    """Read API keys, one a line; none for a server that only this machine reaches.

    Args:
        host: address that the server listens on.
        path: file of keys.

    Raises:
        ConfigError: other machines reach the server, and there is no file.
        DataError: the file cannot be read, holds no key, or a key is easily guessed.
    """
    if path is None:
        if is_loopback(host):
            return []
        raise ConfigError(
            f"on {host} anyone could call the server",
            "give --api_key_file with a key in each line, or leave out --host",
        )
    try:
        keys = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise DataError(f"cannot be read ({reason})", path) from error
    make = "write a random one: python3 -c 'import secrets; print(secrets.token_urlsafe())'"
    if not keys:
        raise DataError("holds no key", path, remedy=make)
    if short := [number for number, key in enumerate(keys, 1) if len(key) < LEAST_LETTERS]:
        message = f"key {short[0]} has fewer than {LEAST_LETTERS} characters"
        raise DataError(message, path, remedy=make)
    return [key.encode() for key in keys]


def check_key(keys: Sequence[bytes], authorization: str) -> None:
    """Check the header `Authorization: Bearer <key>` of a request.

    Raises:
        ApiError: 401, the key is none of the server's.
    """
    scheme, _, given = authorization.partition(" ")
    word = given.strip().encode()
    known = [hmac.compare_digest(word, key) for key in keys]  # all, so that time tells nothing
    if scheme.lower() != "bearer" or not any(known):
        message = "no valid API key was given: send `Authorization: Bearer <key>`"
        raise ApiError(401, message, "invalid_api_key")


def check_origin(host: str, origin: str) -> None:
    """Refuse what a foreign web page sends to a server that needs no key.

    Args:
        host: the header Host; a name of this machine, unless a page has rebound its own name.
        origin: the header Origin, which browsers send.

    Raises:
        ApiError: 403.
    """
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    foreign = origin and origin.partition("://")[2] != host
    if not is_loopback(name.strip("[]")) or foreign:
        message = "a server without keys answers to pages and clients of its own machine alone"
        raise ApiError(403, message, "foreign_origin")
