"""The Jinja2 templates. All that is filled in is escaped."""

import re
from typing import Any

from markupsafe import Markup

from speechllm.report.markdown import spans

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
    tags = {"": "{}", "code": "<code>{}</code>", "strong": "<strong>{}</strong>"}
    return Markup("").join(Markup(tags[kind]).format(shown) for kind, shown in spans(text))


def bullets(text: str) -> list[str]:
    """Return the items of a Markdown list, each in one line."""
    return [" ".join(item.split()) for item in re.split(r"^- ", text, flags=re.MULTILINE) if item]
