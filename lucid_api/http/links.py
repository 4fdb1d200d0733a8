"""Where the next page is (RFC 8288)."""

from fastapi import Request


def next_page(request: Request, **parameters: object) -> dict[str, str]:
    """The header that names the next page: the same request, with these parameters changed."""
    url = request.url.include_query_params(**parameters)
    return {"Link": f'<{url.path}?{url.query}>; rel="next"'}
