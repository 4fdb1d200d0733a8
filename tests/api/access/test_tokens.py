"""Bearer tokens of an issuer: what is not exactly right is refused, and nobody is told why."""

import base64
import hmac
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from lucid_api.access.scopes import Scope
from lucid_api.access.tokens import LEEWAY_SECONDS, LONGEST_TOKEN, TokenVerifier
from lucid_pipeline.errors import UsageError
from lucid_pipeline.settings import Settings
from tests.api.access.support import bearer, new_key, recorded
from tests.api.support import Api, assert_problem, running_api

ISSUER, AUDIENCE = "https://id.example", "lucid"
ED25519 = ed25519.Ed25519PrivateKey.generate()
P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
STRANGER = ed25519.Ed25519PrivateKey.generate()
KEYS: Mapping[str, tuple[str, Any]] = {"ed": ("EdDSA", ED25519), "p256": ("ES256", P256), "rsa": ("RS256", RSA)}


def claims(**changed: object) -> dict[str, object]:
    now = int(time.time())
    whole = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": now + 60, "scope": "sessions:read", **changed}
    return {name: value for name, value in whole.items() if value is not None}


def signed(kid: str | None = "ed", header: Mapping[str, object] | None = None, **changed: object) -> str:
    algorithm, key = KEYS[kid or "ed"]
    return jwt.encode(claims(**changed), key, algorithm, headers={"kid": kid, **(header or {})} if kid else header)


def jwks() -> str:
    algorithms = {"ed": OKPAlgorithm, "p256": ECAlgorithm, "rsa": RSAAlgorithm}
    keys = [
        {**json.loads(algorithms[kid].to_jwk(key.public_key())), "kid": kid, "use": "sig"}
        for kid, (_algorithm, key) in KEYS.items()
    ]
    return json.dumps({"keys": [*keys, {"kty": "RSA", "kid": "for encryption", "use": "enc", "n": "AQ", "e": "AQAB"}]})


def pem(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def trusting_api(bare_home: Path, tmp_path: Path) -> Iterator[Api]:
    """The API, trusting the issuer."""
    keys_file = tmp_path / "jwks.json"
    keys_file.write_text(jwks())
    with running_api(bare_home, jwt_issuer=ISSUER, jwt_audience=AUDIENCE, jwt_keys_file=keys_file) as api:
        yield api


def me(api: Api, token: str) -> Any:
    return api.client.get("/api/v1/me", headers=bearer(token))


@pytest.mark.parametrize("kid", KEYS)
def test_a_token_of_the_issuer_is_as_good_as_a_key(trusting_api: Api, kid: str) -> None:
    answer = me(trusting_api, signed(kid, scope="sessions:read content:play unknown:thing"))
    assert answer.json() == {"subject": "jwt:alice", "scopes": ["content:play", "sessions:read"]}


def test_roles_give_scopes_as_well(trusting_api: Api) -> None:
    answer = me(trusting_api, signed(scope=None, roles=["auditor", "king", 7]))
    assert answer.json()["scopes"] == ["audit:read", "sessions:read", "verify:write"]


def test_a_token_without_scopes_may_nothing(trusting_api: Api) -> None:
    for changed in ({"scope": None}, {"scope": ["admin"]}, {"scope": "", "roles": "admin"}):
        assert me(trusting_api, signed(**changed)).json()["scopes"] == []
    refused = trusting_api.client.get("/api/v1/api-keys", headers=bearer(signed()))
    assert assert_problem(refused, 403, "forbidden")["missing"] == ["admin"]


def test_one_of_several_audiences_will_do(trusting_api: Api) -> None:
    assert me(trusting_api, signed(aud=["other", AUDIENCE])).status_code == 200


def test_clocks_may_differ_a_little(trusting_api: Api) -> None:
    now = int(time.time())
    assert me(trusting_api, signed(exp=now - LEEWAY_SECONDS // 2)).status_code == 200
    assert me(trusting_api, signed(nbf=now + LEEWAY_SECONDS // 2)).status_code == 200


def by_hand(header: Mapping[str, object], sign: Callable[[bytes], bytes], body: bytes | None = None) -> str:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    signing_input = f"{part(json.dumps(header).encode())}.{part(body or json.dumps(claims()).encode())}"
    return f"{signing_input}.{part(sign(signing_input.encode()))}"


def hs256_with_the_public_key() -> Iterator[str]:
    """The confusion that RFC 8725 names first: what everybody knows, taken for a shared secret."""
    der = ED25519.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    raw = ED25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    for secret in (pem(ED25519), pem(RSA), der, raw, jwks().encode(), b""):
        for kid in ("ed", "rsa"):
            yield by_hand({"alg": "HS256", "kid": kid}, lambda data, secret=secret: hmac.digest(secret, data, sha256))


def test_whom_a_token_is_for_and_from_and_when_has_to_be_right(trusting_api: Api) -> None:
    now = int(time.time())
    refused = {
        "expired": signed(exp=now - LEEWAY_SECONDS - 5),
        "never expires": signed(exp=None),
        "no number": signed(exp="tomorrow"),
        "not yet": signed(nbf=now + LEEWAY_SECONDS + 600),
        "from the future": signed(iat=now + LEEWAY_SECONDS + 600),
        "another issuer": signed(iss="https://evil.example"),
        "an issuer that begins so": signed(iss=f"{ISSUER}.evil.example"),
        "no issuer": signed(iss=None),
        "another audience": signed(aud="dagster"),
        "no audience": signed(aud=None),
        "an audience in pieces": signed(aud=list("lucid")),
        "nobody": signed(sub=None),
        "an empty name": signed(sub=""),
        "a number": by_hand({"alg": "EdDSA", "kid": "ed"}, ED25519.sign, json.dumps(claims(sub=7)).encode()),
        "a name with a line's end": signed(sub="alice\nbob"),
        "too long a name": signed(sub="a" * 201),
        "a name that is no text": by_hand(
            {"alg": "EdDSA", "kid": "ed"}, ED25519.sign, json.dumps(claims(sub="\ud800")).encode()
        ),
        "endless": by_hand({"alg": "EdDSA", "kid": "ed"}, ED25519.sign, json.dumps(claims(exp=1e400)).encode()),
    }
    assert_all_refused_alike(trusting_api, refused)


def test_who_signed_a_token_has_to_be_right(trusting_api: Api) -> None:
    right = signed()
    head, body, signature = right.split(".")
    ed = {"alg": "EdDSA", "kid": "ed"}
    refused = {
        "another key": by_hand(ed, STRANGER.sign),
        "an unknown key": by_hand({"alg": "EdDSA", "kid": "other"}, ED25519.sign),
        "no name of a key": signed(None),
        "a name that is no text": by_hand({"alg": "EdDSA", "kid": ["ed"]}, ED25519.sign),
        "a key for encryption": by_hand({"alg": "RS256", "kid": "for encryption"}, ED25519.sign),
        "a key that it brings along": signed(
            header={"jwk": json.loads(OKPAlgorithm.to_jwk(STRANGER.public_key())), "kid": "stranger"}
        ),
        "another body": f"{head}.{signed(sub='root').split('.')[1]}.{signature}",
        "no signature": f"{head}.{body}.",
        "another key's algorithm": by_hand({"alg": "RS256", "kid": "ed"}, ED25519.sign),
        "RS512": jwt.encode(claims(), RSA, "RS512", headers={"kid": "rsa"}),
        "PS256": jwt.encode(claims(), RSA, "PS256", headers={"kid": "rsa"}),
        **{f"HS256 {n}": token for n, token in enumerate(hs256_with_the_public_key())},
        **{
            f"none {alg}": by_hand({"alg": alg, "kid": "ed"}, lambda _data: b"") for alg in ("none", "None", "NONE", "")
        },
        "no algorithm": by_hand({"kid": "ed"}, ED25519.sign),
    }
    assert_all_refused_alike(trusting_api, refused)


def test_what_is_no_token_is_refused(trusting_api: Api) -> None:
    ed = {"alg": "EdDSA", "kid": "ed"}
    refused = {
        "critical": signed(header={"crit": ["exp"], "exp": 1}),
        "critical, nothing named": signed(header={"crit": []}),
        "not encoded": signed(header={"b64": False, "crit": ["b64"]}),
        "too long": signed(padding="x" * LONGEST_TOKEN),
        "no claims": by_hand(ed, ED25519.sign, b"[]"),
        "no JSON": by_hand(ed, ED25519.sign, b"alice"),
        "deep": by_hand(ed, ED25519.sign, b"[" * 2000 + b"]" * 2000),
        "encrypted": "a.b.c.d.e",
        "two parts": "a.b",
        "dots": "...",
        "nothing": ".",
        "text": "let me in",
    }
    assert_all_refused_alike(trusting_api, refused)


def assert_all_refused_alike(api: Api, refused: Mapping[str, str]) -> None:
    assert me(api, signed()).status_code == 200
    said = set()
    for why, token in refused.items():
        answer = me(api, token)
        assert answer.status_code == 401, why
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        said.add(answer.json()["detail"])
    assert len(said) == 1


def test_why_a_token_was_refused_is_on_record_without_the_token(trusting_api: Api, bare_home: Path) -> None:
    token = signed(exp=1)
    me(trusting_api, token)
    [event] = recorded(bare_home, "sign_in.failed")
    assert (event["outcome"], event["subject"]) == ("refused", None)
    assert event["details"] == {"way": "token", "reason": "expired", "key_id": None, "unrecorded_before": 0}
    assert token not in (bare_home / "audit" / "audit.jsonl").read_text()


def test_keys_still_count_where_tokens_do(trusting_api: Api) -> None:
    key, text = new_key(trusting_api, Scope.SESSIONS_READ)
    assert me(trusting_api, text).json()["subject"] == key.subject


def test_without_an_issuer_no_token_counts(bare_api: Api) -> None:
    assert_problem(me(bare_api, signed()), 401, "unauthorized")


@pytest.mark.parametrize(("key", "algorithm"), [(ED25519, "EdDSA"), (P256, "ES256"), (RSA, "RS256")])
def test_one_public_key_in_pem_will_do(tmp_path: Path, key: Any, algorithm: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(b"issued by the identity provider\n" + pem(key))
    verifier = TokenVerifier(ISSUER, AUDIENCE, path)
    for headers in (None, {"kid": "whatever it is called"}):
        assert verifier.caller(jwt.encode(claims(), key, algorithm, headers=headers)).subject == "jwt:alice"


def private_pem(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def jwk(key: Any, **members: str) -> dict[str, str]:
    kind = RSAAlgorithm if isinstance(key, rsa.RSAPublicKey) else OKPAlgorithm
    return {**json.loads(kind.to_jwk(key)), **members}


PUBLIC = ED25519.public_key()
USELESS: Mapping[str, bytes] = {
    "empty": b"",
    "text": b"nothing of the kind",
    "no text": b"\xff\xfe",
    "no keys": b'{"keys": []}',
    "keys that are none": b'{"keys": "none"}',
    "a key that is none": b'{"keys": ["none"]}',
    "another document": b'{"jwks": []}',
    "a shared secret": b'{"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}]}',
    "half a key": b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a"}]}',
    "two in PEM": pem(ED25519) + pem(P256),
    "P-384": pem(ec.generate_private_key(ec.SECP384R1())),
    "short RSA": pem(rsa.generate_private_key(65537, 1024)),
    "private PEM": private_pem(ED25519),
    "private JWK": json.dumps({"keys": [jwk(ED25519, kid="a")]}).encode(),
    "no name": json.dumps({"keys": [jwk(PUBLIC)]}).encode(),
    "one name for two": json.dumps({"keys": [jwk(PUBLIC, kid="a"), jwk(PUBLIC, kid="a")]}).encode(),
    "another algorithm": json.dumps({"keys": [jwk(RSA.public_key(), kid="a", alg="PS256")]}).encode(),
}


@pytest.mark.parametrize("why", USELESS)
def test_keys_that_tokens_cannot_be_checked_by_stop_the_service(tmp_path: Path, why: str) -> None:
    path = tmp_path / "keys"
    path.write_bytes(USELESS[why])
    with pytest.raises(UsageError, match=re.escape(f"cannot use the keys in {path}")) as error:
        TokenVerifier(ISSUER, AUDIENCE, path)
    assert "PRIVATE" not in str(error.value)


def test_a_file_that_is_not_there_stops_the_service(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the keys"):
        TokenVerifier(ISSUER, AUDIENCE, tmp_path / "nothing")


@pytest.mark.parametrize(
    "given", [("issuer",), ("audience",), ("keys_file",), ("issuer", "audience"), ("audience", "keys_file")]
)
def test_settings_by_halves_stop_the_service(tmp_path: Path, given: tuple[str, ...]) -> None:
    settings: dict[str, Any] = {f"jwt_{name}": str(tmp_path / "x") for name in given}
    with pytest.raises(UsageError, match="LUCID_JWT_ISSUER, LUCID_JWT_AUDIENCE and LUCID_JWT_KEYS_FILE"):
        TokenVerifier.of_settings(Settings(home=tmp_path, **settings))
