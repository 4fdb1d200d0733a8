"""The MongoDB catalog, over the wire: what every catalog promises, and what is its own."""

from collections.abc import Callable

import pytest

from lucid_pipeline.stores import mongo_listing
from tests.servers.mongodb import MongoDb
from tests.stores.catalog_contract import CatalogContract


class TestMongoCatalog(CatalogContract):
    @pytest.fixture
    def new_url(self, mongodb: MongoDb) -> Callable[[], str]:
        return mongodb.new_url


class TestMongoCatalogOnWalks:
    """What a large catalog does, with a small one."""

    new_url = TestMongoCatalog.new_url
    test_what_fits = CatalogContract.test_what_fits_is_found_in_order_on_pages_of_any_size_and_nothing_else

    @pytest.fixture(autouse=True)
    def small_bounds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(mongo_listing, "_FEW", 1)
        monkeypatch.setattr(mongo_listing, "_MOST_WALKED", 3)
