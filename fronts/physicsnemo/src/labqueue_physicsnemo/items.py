"""What crosses for one chosen item: a payload that an experiment carries, and the file that a label comes back in.

A payload says which item it is, and for people: at which step which strategy chose it. An item of more than
`INLINE` bytes lies in an artifact that the payload names.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Union

from labqueue.client import Client

from .codec import MOST_BYTES, CodecError, decode, encode

#: A request of a thousand payloads stays under the server's limit for one.
INLINE = 8 * 1024
#: The JSON of an item is longer than its bytes.
MOST_TEXT = 2 * MOST_BYTES
LABELLED = "labelled.json"
_FORMAT = "labqueue_item"


def text_of(item: Any) -> str:
    """The item's JSON, always spelt the same."""
    return json.dumps(encode(item), ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def item_of(text: Union[str, bytes]) -> Any:
    """Raises CodecError where this is no item."""
    if len(text) > MOST_TEXT:
        raise CodecError(f"The item has {len(text):,} letters; at most {MOST_TEXT:,} are read.")
    try:
        return decode(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise (
            error if isinstance(error, CodecError) else CodecError(f"The item is no JSON: {error}.")
        ) from None


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def payload_of(client: Client, text: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """The payload of an item's JSON; a large one is on the server, as an artifact, when this returns."""
    digest = digest_of(text)
    head = {_FORMAT: 1, "sha256": digest, **about}
    if len(text) <= INLINE:
        return {**head, "item": json.loads(text)}
    body = text.encode("ascii")
    if not client.has_artifact(digest):
        client.put_artifact(digest, lambda: io.BytesIO(body), len(body))
    return {**head, "artifact": digest, "size": len(body)}


def item_from(client: Client, payload: Any) -> Any:
    """The item of a payload. Raises CodecError for a payload that is none of ours."""
    if not isinstance(payload, Mapping) or payload.get(_FORMAT) != 1:
        raise CodecError("This experiment carries no item of a query strategy.")
    if "item" in payload:
        return decode(payload["item"])
    size, digest = payload.get("size"), payload.get("artifact")
    if not isinstance(size, int) or not isinstance(digest, str) or size > MOST_TEXT:
        raise CodecError("This experiment's payload names no artifact that could be an item.")
    return item_of(client.artifact(digest))


def labelled_text(items: Sequence[Any]) -> str:
    """What a label strategy put back, as the file of a result."""
    return text_of(list(items))


def labelled_items(text: Union[str, bytes]) -> list[Any]:
    found = item_of(text)
    if not isinstance(found, list):
        raise CodecError("This file holds no labelled items.")
    return found
