import pytest

# A module of tests that is not named test_… would fail without saying what was compared.
pytest.register_assert_rewrite("tests.stores.catalog_contract")
