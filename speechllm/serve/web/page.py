"""The page at `/`: one file, with a policy that lets nothing but itself run."""

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from fastapi.responses import HTMLResponse


@cache
def _content() -> tuple[str, str]:
    """The page, and its Content-Security-Policy."""
    html = (files("speechllm.serve.web") / "static/page.html").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; script-src {_hash(html, 'script')}; style-src {_hash(html, 'style')};"
        " connect-src 'self'; media-src blob:; img-src data:; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy


def _hash(html: str, tag: str) -> str:
    found = re.search(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    assert found, f"the page has no <{tag}>"
    digest = hashlib.sha256(found[1].encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def page() -> HTMLResponse:
    """Response with the page."""
    html, policy = _content()
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})
