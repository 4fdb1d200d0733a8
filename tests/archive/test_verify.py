"""What is remembered of a verification. What it finds is shown by `tests/attacks`."""

import pytest

from lucid_pipeline.archive.damage import Damage, DamageCode
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.archive.verify import VerificationReport

BY_KEY = [
    DamageCode.COMMITMENT_MISMATCH,
    DamageCode.DECRYPT_FAILED,
    DamageCode.FRAME_MALFORMED,
    DamageCode.PLAINTEXT_DIGEST_MISMATCH,
    DamageCode.SEALED_MISMATCH,
    DamageCode.UNSUPPORTED_FORMAT,
]
WITHOUT = [code for code in DamageCode if code not in BY_KEY]


def report(*codes: DamageCode, deep: bool) -> VerificationReport:
    return VerificationReport(new_session_id(), deep, damages=[Damage(code, "here", "") for code in codes])


@pytest.mark.parametrize("code", BY_KEY)
def test_what_it_can_take_a_key_to_see_is_remembered_until_a_key_sees_that_all_is_well(code: DamageCode) -> None:
    assert report(deep=False).to_record([code]) == [code]
    assert report(DamageCode.MISSING_OBJECT, deep=False).to_record([code]) == [DamageCode.MISSING_OBJECT, code]
    assert report(DamageCode.MISSING_OBJECT, deep=True).to_record([code]) == [DamageCode.MISSING_OBJECT, code]
    assert report(DamageCode.KEYSLOT_MISSING, deep=True).to_record([code]) == [code]
    assert report(deep=True).to_record([code]) == []


@pytest.mark.parametrize("code", WITHOUT)
def test_what_it_takes_no_key_to_see_is_forgotten_once_it_is_mended(code: DamageCode) -> None:
    assert report(deep=False).to_record([code]) == []


def test_each_code_is_remembered_once() -> None:
    twice = report(DamageCode.DECRYPT_FAILED, DamageCode.MISSING_OBJECT, DamageCode.DECRYPT_FAILED, deep=True)
    assert twice.to_record(["decrypt_failed"]) == [DamageCode.DECRYPT_FAILED, DamageCode.MISSING_OBJECT]


@pytest.mark.parametrize("deep", [False, True])
def test_that_an_identity_has_no_slot_is_no_damage_to_remember(*, deep: bool) -> None:
    assert report(DamageCode.KEYSLOT_MISSING, deep=deep).to_record(["keyslot_missing"]) == []
