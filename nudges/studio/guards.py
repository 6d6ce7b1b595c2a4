"""Turn requests into bodies, forms and the certainty that a form was ours, or refuse them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from fastapi import Request

FORM_BYTES = 10_000


class Refused(Exception):  # noqa: N818 - it is an answer to a request, not a fault
    """A request that is answered with `status` and these words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


async def body_of(request: Request, *, most: int) -> bytes:
    """The raw body, read only up to `most` bytes; raises Refused with 413 beyond."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        raise Refused(413, f"The request is longer than {most} bytes.")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise Refused(413, f"The request is longer than {most} bytes.")
        parts.append(part)
    return b"".join(parts)


async def form_of(request: Request) -> Mapping[str, str]:
    """First value of each field of a small form; raises Refused."""
    raw = await body_of(request, most=FORM_BYTES)
    try:
        fields = parse_qs(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise Refused(400, "The form could not be read.") from None
    return {name: values[0].strip() for name, values in fields.items()}


def guard_same_origin(request: Request) -> None:
    """Refuse a form that another site's page sent: browsers say where a POST comes from."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        is_ours = site == "same-origin"
    else:
        is_ours = urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host", " ")
    if not is_ours:
        raise Refused(403, "This form was not sent from our own page. Open the page again and press the button there.")
