"""How sessions are found in a MongoDB catalog, at a cost that does not depend on how many there are.

Each session's document has in `listed` what it is found and sorted by, where what is not known is less than all that
is. Each order has an index, each filter one in the order in which people look, by the start.

A page is made in one of three ways (`plan`). The index of a filter is sorted by the start, so one filter alone, in that
order, has its page there. Else, where one of the conditions holds for a few sessions only, those are read and sorted.
Else the index of the order is walked until the page is full, or until so much has been looked through that somebody
would have to wait: then the next page goes on from there. Every question names its index, so that no plan of the
server's is slow where another was quick.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from uuid import UUID

from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection

from lucid_pipeline.errors import UsageError
from lucid_pipeline.stores.catalog import Order, Position, SessionFilter, Sort, in_unicode, microseconds
from lucid_pipeline.stores.listed import tag_term
from lucid_pipeline.stores.mongo_schema import KEYS, facet_index, order_index
from lucid_pipeline.stores.mongo_server import Document
from lucid_pipeline.stores.searching import beginning_of_ids, words

_FEW = 1_000
_MOST_WALKED = 10_000

Sessions = Collection[Document]


@dataclass(frozen=True, slots=True)
class Source:
    """Where an index says for which sessions a condition holds."""

    index: str
    test: Document


@dataclass(frozen=True, slots=True)
class Condition:
    """What has to hold, and where an index tells for whom it does: for those of any of the sources."""

    test: Document
    sources: Sequence[Source]
    facet: str = ""


@dataclass(frozen=True, slots=True)
class Walk:
    """A way along an index: over its entries within bounds, and what of them is wanted."""

    index: str
    bounds: Document
    conditions: Document


@dataclass(frozen=True, slots=True)
class Few:
    """Those of a few sessions, which the sources know, that are wanted."""

    sources: Sequence[Source]
    conditions: Document


def find(
    sessions: Sessions, wanted: SessionFilter, order: Order, after: Position | None, limit: int
) -> tuple[list[Document], Position | None]:
    """The documents on a page, and where to go on, as `Catalog.page` has it."""
    if after and isinstance(after.value, str) is not (order.by in (Sort.USER, Sort.REGISTERED)):
        raise UsageError("this is no position in that order", "begin with the first page")
    found: list[Document] = []
    for search in plan(sessions, wanted, order, after):
        if isinstance(search, Few):
            found += _among(sessions, search, order, limit + 1)
            continue
        found += _along(sessions, search, order, limit + 1 - len(found))
        if len(found) <= limit and search.conditions and (last := _rest(sessions, search, order)):
            return found, _position(last, order)
        if len(found) > limit:
            break
    if len(found) > limit:
        return found[:limit], _position(found[limit - 1], order)
    return found, None


def plan(sessions: Sessions, wanted: SessionFilter, order: Order, after: Position | None) -> list[Walk] | list[Few]:
    """How to find what is wanted: among a few sessions, or on walks, one after the other."""
    conditions, times = list(_conditions(wanted)), list(_times(wanted))
    if order.by is Sort.STARTED and len(conditions) == 1 and (facet := conditions[0].facet):
        return _walks(facet_index(facet), conditions, _ranges_of_start(wanted, order, after), [])
    counted = [(_count(sessions, condition), condition) for condition in (*conditions, *times)]
    count, rarest = min(counted, key=itemgetter(0), default=(_FEW + 1, None))
    if rarest and count <= _FEW:
        return [Few(rarest.sources, _all([*_tests([*conditions, *times]), *_behind(order, after)]))]
    if order.by is Sort.STARTED:
        return _walks(order_index(order.by), [], _ranges_of_start(wanted, order, after), conditions)
    return _walks(order_index(order.by), [], _ranges(order, after), [*conditions, *times])


def _walks(
    index: str, within: Sequence[Condition], ranges: Sequence[Document], conditions: Sequence[Condition]
) -> list[Walk]:
    return [Walk(index, {**_all(_tests(within)), **bounds}, _all(_tests(conditions))) for bounds in ranges]


def sort_of(order: Order) -> list[tuple[str, int]]:
    """An order in MongoDB's words."""
    direction = DESCENDING if order.descending else ASCENDING
    return [(key, direction) for key in dict.fromkeys((KEYS[order.by], "_id"))]


def walked(walk: Walk, order: Order, limit: int) -> list[Document]:
    """A walk as an aggregation, which looks at no more than its bound."""
    stages: list[Document] = [{"$match": walk.bounds}, {"$sort": dict(sort_of(order))}]
    if walk.conditions:
        stages += [{"$limit": _MOST_WALKED}, {"$match": walk.conditions}]
    return [*stages, {"$limit": limit}]


def _along(sessions: Sessions, walk: Walk, order: Order, limit: int) -> list[Document]:
    return list(sessions.aggregate(walked(walk, order, limit), hint=walk.index))


def _rest(sessions: Sessions, walk: Walk, order: Order) -> Document | None:
    """The last session that was looked at, if a walk had to rest there."""
    found = sessions.find(walk.bounds, {KEYS[order.by]: 1}, hint=walk.index).sort(sort_of(order))
    return next(found.skip(_MOST_WALKED - 1).limit(1), None)


def _among(sessions: Sessions, few: Few, order: Order, limit: int) -> list[Document]:
    ids = {
        found["_id"] for source in few.sources for found in sessions.find(source.test, {"_id": 1}, hint=source.index)
    }
    chosen = _all([{"_id": {"$in": sorted(ids)}}, few.conditions])
    return list(sessions.find(chosen, hint="_id_").sort(sort_of(order)).limit(limit))


def _count(sessions: Sessions, condition: Condition) -> int:
    """For how many sessions a condition holds, if those are few, else more than that."""
    return sum(sessions.count_documents(source.test, limit=_FEW + 1, hint=source.index) for source in condition.sources)


def _position(document: Document, order: Order) -> Position:
    value = "" if order.by is Sort.REGISTERED else document["listed"][order.by]
    return Position(value, UUID(document["_id"]))


def _conditions(wanted: SessionFilter) -> Iterator[Condition]:
    for facet in ("user", "host", "protocol", "media_type"):
        if value := getattr(wanted, facet):
            yield _is(facet, in_unicode(value))
    if wanted.proof:
        yield _is("proof", wanted.proof.value)
    chosen = sorted({status.value for status in wanted.statuses})
    if len(chosen) == 1:
        yield _is("status", *chosen)
    elif chosen:
        test = {"listed.status": {"$in": chosen}}
        yield Condition(test, [Source(facet_index("status"), test)])
    for name, value in wanted.tags:
        yield _has(tag_term(name, value))
    yield from _text_conditions(wanted.text or "")


def _is(facet: str, value: str) -> Condition:
    test = {f"listed.{facet}": value}
    return Condition(test, [Source(facet_index(facet), test)], facet)


def _has(term: object) -> Condition:
    test = {"listed.terms": term}
    return Condition(test, [Source("terms", test)])


def _text_conditions(text: str) -> Iterator[Condition]:
    # A word is letters and digits, none of which means something to a regular expression. That it is the beginning lets
    # the server look it up.
    found = [_has({"$regex": f"^{word}"}) for word in words(in_unicode(text))]
    if ids := beginning_of_ids(text):
        first, last = map(str, ids)
        test = {"_id": {"$gte": first, "$lte": last}}
        by_word = _all(_tests(found))
        found = [Condition({"$or": [test, by_word]}, [Source("_id_", test), *found[0].sources])]
    yield from found


def _times(wanted: SessionFilter) -> Iterator[Condition]:
    """The condition that the start has to meet."""
    if bounds := _limits(wanted):
        test: Document = {KEYS[Sort.STARTED]: bounds}
        yield Condition(test, [Source(order_index(Sort.STARTED), test)])


def _limits(wanted: SessionFilter) -> Document:
    since, until = wanted.since, wanted.until
    return {
        **({"$gte": microseconds(since)} if since else {}),
        **({"$lt": microseconds(until)} if until else {}),
    }


def _behind(order: Order, after: Position | None) -> list[Document]:
    """What is behind a position in an order, as a test."""
    return [{"$or": _ranges(order, after)}] if after else []


def _ranges(order: Order, after: Position | None) -> list[Document]:
    """What is behind a position: first what is equal to it in the order, then all else.

    Two ranges of the index, where one test for both would let the server begin before the position.
    """
    if after is None:
        return [{}]
    operator, key, session_id = "$lt" if order.descending else "$gt", KEYS[order.by], str(after.session_id)
    if order.by is Sort.REGISTERED:
        return [{"_id": {operator: session_id}}]
    return [{key: after.value, "_id": {operator: session_id}}, {key: {operator: after.value}}]


def _ranges_of_start(wanted: SessionFilter, order: Order, after: Position | None) -> list[Document]:
    """What is behind a position in the order of the start, and within the limits that were asked for."""
    key, limits = KEYS[Sort.STARTED], _limits(wanted)
    found = []
    for bounds in _ranges(order, after):
        start = bounds.get(key, {})
        if isinstance(start, dict):
            found.append({**bounds, key: both} if (both := _stricter(start, limits)) else bounds)
        elif limits.get("$gte", start) <= start < limits.get("$lt", start + 1):
            found.append(bounds)
    return found


def _stricter(bounds: Document, limits: Document) -> Document:
    """Both, each limit once: a server that is given two of a kind may begin at either."""
    both = {**limits, **bounds}
    if "$lt" in bounds and "$lt" in limits:
        both["$lt"] = min(bounds["$lt"], limits["$lt"])
    if "$gt" in bounds and "$gte" in limits:
        del both["$gt" if bounds["$gt"] < limits["$gte"] else "$gte"]
    return both


def _tests(conditions: Sequence[Condition]) -> list[Document]:
    return [condition.test for condition in conditions]


def _all(tests: Sequence[Document]) -> Document:
    return {"$and": list(tests)} if len(tests) > 1 else dict(*tests)
