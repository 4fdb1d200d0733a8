"""What can be wrong with an archive, and the words for it (docs/format.md, "Damage codes")."""

from dataclasses import dataclass
from enum import StrEnum

from lucid_pipeline.errors import PermanentError


class DamageCode(StrEnum):
    """The closed list of damage codes: the same in reports, exceptions and API problems."""

    MISSING_OBJECT = "missing_object"
    OBJECT_DIGEST_MISMATCH = "object_digest_mismatch"
    CHUNK_TABLE_MISMATCH = "chunk_table_mismatch"
    ROOT_MISMATCH = "root_mismatch"
    SIGNATURE_INVALID = "signature_invalid"
    UNKNOWN_SIGNER = "unknown_signer"
    MANIFEST_MALFORMED = "manifest_malformed"
    UNSUPPORTED_FORMAT = "unsupported_format"
    COMMITMENT_MISMATCH = "commitment_mismatch"
    DECRYPT_FAILED = "decrypt_failed"
    FRAME_MALFORMED = "frame_malformed"
    KEYSLOT_MISSING = "keyslot_missing"
    PLAINTEXT_DIGEST_MISMATCH = "plaintext_digest_mismatch"
    SEALED_MISMATCH = "sealed_mismatch"


@dataclass(frozen=True, slots=True)
class Damage:
    """One finding: the code, the part of the archive it was found in, and what was seen there."""

    code: DamageCode
    where: str
    detail: str

    def __str__(self) -> str:
        return f"{self.code} in {self.where}: {self.detail}"


class DamageError(PermanentError):
    """Raised where damage stops the work at hand; `damage` is the finding."""

    def __init__(self, code: DamageCode, where: str, detail: str) -> None:
        self.damage = Damage(code, where, detail)
        super().__init__(str(self.damage))
