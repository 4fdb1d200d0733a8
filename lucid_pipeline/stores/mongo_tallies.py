"""How many sessions a MongoDB catalog has of what: kept, and true also where a process died or two count at once.

No server without transactions changes a session and a count in one step. So a session says in its own document what
has been `counted` of it and, from its next change on until that has been counted, what is `uncounted`. Whoever asks
for counts first counts what is not, in batches:

1. A batch says which sessions, and what each count changes by. Its number is unique, so it is one process's batch
   alone; while it is not done nobody begins the next one, but does this one to its end, whoever began it. One that is
   not the newest was begun by somebody who stood still before, and is given up.
2. Each count takes a batch once: it knows the number of the last one.
3. What was uncounted of those sessions becomes counted: as it is, or, where a session was changed again meanwhile, as
   the batch says.

Every step may be done twice, at once, and by a process that stood still in the middle of it.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import date

from pymongo import DESCENDING, UpdateOne
from pymongo.errors import DuplicateKeyError

from lucid_pipeline.stores.catalog import Holding, Status
from lucid_pipeline.stores.listed import tallies
from lucid_pipeline.stores.mongo_schema import BATCHES, SESSIONS, TALLIES
from lucid_pipeline.stores.mongo_server import Document, MongoServer

COUNTED_AT_ONCE = 100
_AMOUNTS = ("sessions", "stored_bytes", "raw_bytes")


class MongoTallies:
    """The counts of a catalog."""

    def __init__(self, server: MongoServer) -> None:
        self._server = server
        self._sessions = server.database[SESSIONS]
        self._tallies = server.database[TALLIES]
        self._batches = server.database[BATCHES]

    def settle(self) -> None:
        """Count what is not counted."""
        while self._settle_some():
            pass

    def settle_some(self) -> None:
        """Count some of what is not counted, so that it cannot become too much."""
        self._settle_some()

    def holding(self) -> Holding:
        """What is sealed, as far as it is counted."""
        found = list(self._of("sealed"))
        return Holding(*(sum(tally[amount] for tally in found) for amount in _AMOUNTS))

    def statuses(self) -> dict[Status, int]:
        """How many sessions are shown as what, where there are any."""
        return {Status(tally["name"]): tally["sessions"] for tally in self._of("status") if tally["sessions"] > 0}

    def sealed_by_day(self, since: date) -> dict[date, Holding]:
        """What was sealed on each day from that one on, where there is any."""
        days = sorted(self._of("sealed"), key=lambda tally: tally["name"])
        return {
            date.fromisoformat(tally["name"]): Holding(*(tally[amount] for amount in _AMOUNTS))
            for tally in days
            if tally["sessions"] > 0 and tally["name"] >= since.isoformat()
        }

    def _of(self, kind: str) -> Iterator[Document]:
        # One for each day at most, so that there are as many as days, however many sessions.
        yield from self._server.run(lambda: list(self._tallies.find({"kind": kind})))

    def _settle_some(self) -> bool:
        newest = self._server.run(self._newest)
        if newest and not newest["done"]:
            self._apply(newest)
            return True
        found = self._server.run(self._uncounted)
        if found:
            batch = _batch(newest["_id"] + 1 if newest else 1, found)
            if self._server.run(lambda: self._begin(batch)):
                self._apply(batch)
        return bool(found)

    def _uncounted(self) -> list[Document]:
        fields = {"uncounted": 1, "counted": 1}
        return list(
            self._sessions.find({"uncounted.change": {"$gt": ""}}, fields, hint="uncounted").limit(COUNTED_AT_ONCE)
        )

    def _begin(self, batch: Document) -> bool:
        with suppress(DuplicateKeyError):
            self._batches.insert_one(batch)
        newest = self._newest()
        return newest is not None and newest["_id"] == batch["_id"] and newest["sessions"] == batch["sessions"]

    def _newest(self) -> Document | None:
        return self._batches.find_one(sort=[("_id", DESCENDING)])

    def _apply(self, batch: Document) -> None:
        number = batch["_id"]
        for tally in batch["tallies"]:
            self._server.run(lambda tally=tally: self._add(tally, number))  # type: ignore[misc]
        self._server.run(lambda: self._mark_as_counted(batch))
        self._server.run(lambda: self._end(number))

    def _mark_as_counted(self, batch: Document) -> None:
        number, ids = batch["_id"], list(batch["sessions"])
        changes = [counted["change"] for counted in batch["sessions"].values()]
        self._sessions.update_many(
            {"_id": {"$in": ids}, "uncounted.change": {"$in": changes}},
            {"$rename": {"uncounted": "counted"}, "$set": {"counted_in": number}, "$inc": {"version": 1}},
            hint="_id_",
        )
        changed = self._sessions.find({"_id": {"$in": ids}, "counted_in": {"$lt": number}}, {"_id": 1}, hint="_id_")
        again = [self._as_batch_says(found["_id"], batch) for found in changed]
        if again:
            self._sessions.bulk_write(again, ordered=False)

    def _end(self, number: int) -> None:
        self._batches.update_one({"_id": number}, {"$set": {"done": True, "sessions": {}, "tallies": []}})
        self._batches.delete_many({"_id": {"$lt": number}})

    def _add(self, tally: Document, number: int) -> None:
        amounts = {amount: tally[amount] for amount in _AMOUNTS}
        names = {"kind": tally["kind"], "name": tally["name"], "batch": number}
        key = f"{tally['kind']} {tally['name']}"
        try:
            self._tallies.update_one(
                {"_id": key, "batch": {"$lt": number}}, {"$inc": amounts, "$set": names}, upsert=True
            )
        except DuplicateKeyError:
            return  # it has taken this batch

    @staticmethod
    def _as_batch_says(key: str, batch: Document) -> UpdateOne:
        return UpdateOne(
            {"_id": key, "counted_in": {"$lt": batch["_id"]}},
            {"$set": {"counted": batch["sessions"][key], "counted_in": batch["_id"]}, "$inc": {"version": 1}},
        )


def _batch(number: int, found: list[Document]) -> Document:
    sums: dict[tuple[str, str], Counter[str]] = {}
    for session in found:
        for sign, counts in ((-1, session["counted"]), (1, session["uncounted"])):
            for tally in tallies(*_values(counts)) if counts else ():
                amounts = asdict(tally)
                known = sums.setdefault((amounts["kind"], amounts["name"]), Counter())
                known.update({"sessions": sign, **{name: sign * amounts[name] for name in _AMOUNTS[1:]}})
    return {
        "_id": number,
        "done": False,
        "sessions": {session["_id"]: session["uncounted"] for session in found},
        "tallies": [
            {"kind": kind, "name": name, **{amount: known[amount] for amount in _AMOUNTS}}
            for (kind, name), known in sums.items()
        ],
    }


def _values(counts: Document) -> tuple[str, int, int, int]:
    return counts["status"], counts["sealed"], counts["stored"], counts["length"]
