"""Bearer tokens that somebody else signs (JWT, RFC 7519), checked as RFC 8725 asks for; optional, without a network.

The algorithm follows from the key and never from the token. There are three, and none of them has a shared secret.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from lucid_api.access.callers import Caller
from lucid_api.access.scopes import Role, Scope
from lucid_pipeline.errors import UsageError
from lucid_pipeline.settings import Settings

LONGEST_TOKEN = 8 * 1024
LEEWAY_SECONDS = 30
"""How far the clocks of issuer and service may be apart."""

_LARGEST_FILE = 1024 * 1024
_SMALLEST_RSA_BITS = 2048
_LONGEST_SUBJECT = 200
_REQUIRED = ["exp", "iss", "aud", "sub"]
_PEM_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)

PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class InvalidToken(Exception):
    """A token is refused; the message says why in words of this module, and holds nothing of the token."""


@dataclass(frozen=True, slots=True)
class _Key:
    key: PublicKey
    algorithm: str


class TokenVerifier:
    """Knows one issuer's keys.

    Args:
        issuer: who has to have issued a token, as its `iss` says.
        audience: whom a token has to be meant for, as its `aud` says.
        keys_file: public keys, as a JWK set (RFC 7517) or in PEM.

    Raises:
        UsageError: the file cannot be read, or has a key that tokens cannot be checked by.
    """

    def __init__(self, issuer: str, audience: str, keys_file: Path) -> None:
        self._issuer, self._audience = issuer, audience
        self._keys = _load(keys_file)

    @classmethod
    def of_settings(cls, settings: Settings) -> "TokenVerifier | None":
        """The one that the settings ask for, if they do.

        Raises:
            UsageError: some of its settings are missing, or the keys are not right.
        """
        issuer, audience, keys_file = settings.jwt_issuer, settings.jwt_audience, settings.jwt_keys_file
        if not (issuer or audience or keys_file):
            return None
        if not (issuer and audience and keys_file):
            raise UsageError(
                "bearer tokens need LUCID_JWT_ISSUER, LUCID_JWT_AUDIENCE and LUCID_JWT_KEYS_FILE", "set all, or none"
            )
        return cls(issuer, audience, keys_file)

    def caller(self, token: str) -> Caller:
        """Who the bearer of a token is.

        Raises:
            InvalidToken: it is not one of this issuer for this service, or not valid now.
        """
        if len(token) > LONGEST_TOKEN:
            raise InvalidToken("too long")
        try:
            header = jwt.get_unverified_header(token)
            key = self._key_of(header)
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": _REQUIRED},
            )
        except (jwt.PyJWTError, ArithmeticError, TypeError, ValueError) as error:
            raise InvalidToken(_reason(error)) from error
        subject = claims["sub"]
        if not subject or len(subject) > _LONGEST_SUBJECT or not subject.isprintable():
            raise InvalidToken("no subject")
        return Caller(f"jwt:{subject}", frozenset(_scopes(claims)))

    def _key_of(self, header: Mapping[str, Any]) -> _Key:
        if "crit" in header:
            raise InvalidToken("critical extension")
        if None in self._keys:  # PEM has one key, and no names
            return self._keys[None]
        key = self._keys.get(header.get("kid"))
        if key is None:
            raise InvalidToken("unknown key")
        return key


def _reason(error: Exception) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return "expired"
        case jwt.ImmatureSignatureError():
            return "not valid yet"
        case jwt.InvalidIssuerError():
            return "wrong issuer"
        case jwt.InvalidAudienceError():
            return "wrong audience"
        case jwt.MissingRequiredClaimError():
            return "missing claim"
        case jwt.InvalidAlgorithmError():
            return "wrong algorithm"
        case jwt.InvalidSignatureError():
            return "wrong signature"
    return "malformed"


def _scopes(claims: Mapping[str, Any]) -> Iterator[Scope]:
    """What the claims `scope` (RFC 8693) and `roles` give, as far as there is such a thing here."""
    scope, roles = claims.get("scope", ""), claims.get("roles", ())
    if isinstance(scope, str):
        yield from (Scope(name) for name in scope.split() if name in set(Scope))
    if isinstance(roles, list):
        for name in roles:
            if isinstance(name, str) and name in set(Role):
                yield from Role(name).scopes


def _load(path: Path) -> Mapping[str | None, _Key]:
    """The keys of a file by their names; the one of a PEM file has none."""
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_FILE + 1).decode()
        if len(text) > _LARGEST_FILE:
            raise ValueError("it is too large")
        return _parse_jwks(text) if text.lstrip().startswith("{") else {None: _parse_pem(text)}
    except OSError as error:
        raise UsageError(f"cannot read the keys in {path}: {error.strerror}", "see LUCID_JWT_KEYS_FILE") from error
    except (UnsupportedAlgorithm, jwt.PyJWTError, AttributeError, LookupError, TypeError, ValueError) as error:
        hint = "a JWK set or one public key in PEM: Ed25519, P-256, or RSA of 2048 bits and more"
        raise UsageError(f"cannot use the keys in {path}", hint) from error


def _parse_jwks(text: str) -> Mapping[str | None, _Key]:
    keys: dict[str | None, _Key] = {}
    for found in json.loads(text)["keys"]:
        if found.get("use", "sig") != "sig":
            continue
        name, key = found["kid"], _key(jwt.PyJWK(found).key)
        if name in keys or found.get("alg", key.algorithm) != key.algorithm or "d" in found:
            raise ValueError("a name that stands twice, another algorithm, or a private key")
        keys[name] = key
    if not keys:
        raise ValueError("there is none")
    return keys


def _parse_pem(text: str) -> _Key:
    [pem] = _PEM_KEY.findall(text)
    return _key(load_pem_public_key(pem.encode()))


def _key(key: object) -> _Key:
    match key:
        case ed25519.Ed25519PublicKey():
            return _Key(key, "EdDSA")
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP256R1):
            return _Key(key, "ES256")
        case rsa.RSAPublicKey() if key.key_size >= _SMALLEST_RSA_BITS:
            return _Key(key, "RS256")
    raise ValueError("not a key for tokens")
