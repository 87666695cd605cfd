"""The Jinja2 templates. All that is filled in is escaped."""

import re
from typing import Any

from markupsafe import Markup, escape

# A page may load what lies beside it and nothing else: no inline script or style, no network. From
# disk, 'self' means nothing to some browsers, hence file:.
POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; "
    "img-src 'self' file:; media-src 'self' file:; base-uri 'none'; form-action 'none'"
)


def render(template: str, **values: Any) -> str:
    """Fill a template of the package."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("speechllm.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"inline": inline, "bullets": bullets}
    return environment.get_template(template).render(policy=POLICY, **values)


def inline(text: str) -> Markup:
    """Turn the little Markdown of reports, `code` and **bold**, into HTML; the rest is escaped."""
    html = str(escape(text))
    html = re.sub(r"`([^`]+)`", r"<code>\1</code>", html)
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", html))


def bullets(text: str) -> list[str]:
    """Return the items of a Markdown list, each in one line."""
    return [" ".join(item.split()) for item in re.split(r"^- ", text, flags=re.MULTILINE) if item]
