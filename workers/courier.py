"""Delivers webhooks over HTTP: short, without redirects, with a signature that the receiver can check."""

from __future__ import annotations

import httpx

from labqueue.errors import UnavailableError

SECONDS = 5.0
SIGNATURE = "X-Labqueue-Signature"


class HttpCourier:
    """The `Courier` port."""

    def post(self, url: str, body: bytes, signature: str) -> int:
        headers = {"Content-Type": "application/json", SIGNATURE: signature, "User-Agent": "labqueue"}
        try:
            # The answer's body is not read: nobody looks at it, and it may be endless.
            with httpx.stream(
                "POST", url, content=body, headers=headers, timeout=SECONDS, follow_redirects=False
            ) as answer:
                return answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnavailableError(f"{type(error).__name__}: {error}") from error
