"""An unknown query parameter is refused: a filter with a slip in its name would find too much."""

from difflib import get_close_matches

from fastapi import Request

from lucid_api.problems import Invalid


def refuse_unknown_parameters(request: Request) -> None:
    """Compare the query with what the OpenAPI document says of the operation.

    Raises:
        Invalid: there is no such parameter, or one that is no list is there twice.
    """
    wanted = request.scope["route"].operation_id
    paths = request.app.openapi()["paths"].values()
    operation = next(found for path in paths for found in path.values() if found["operationId"] == wanted)
    known = {found["name"]: found["schema"] for found in operation.get("parameters", ()) if found["in"] == "query"}
    errors = []
    for name in request.query_params:
        if name not in known:
            nearest = get_close_matches(name, known, n=1)
            hint = f"; do you mean {nearest[0]}?" if nearest else ""
            errors.append({"in": "query", "name": name, "reason": f"there is no such parameter{hint}"})
        elif known[name].get("type") != "array" and len(request.query_params.getlist(name)) > 1:
            errors.append({"in": "query", "name": name, "reason": "may be given once"})
    if errors:
        raise Invalid("see errors", errors=errors)
