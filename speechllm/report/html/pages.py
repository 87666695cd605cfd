"""Rendering of the Jinja2 templates. Every value is escaped."""

import re
from typing import Any

from markupsafe import Markup

from speechllm.report.markdown import spans

# Content security policy: a page may load what lies beside it and nothing else, so no inline script
# or style, and no network. For pages on disk some browsers ignore 'self', hence file:.
POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; "
    "img-src 'self' file:; media-src 'self' file:; base-uri 'none'; form-action 'none'"
)


def render(template: str, **values: Any) -> str:
    """Render a template of the package with `values`."""
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
    """Turn the Markdown used in reports, `code` and **bold**, into HTML; escape the rest."""
    tags = {"": "{}", "code": "<code>{}</code>", "strong": "<strong>{}</strong>"}
    return Markup("").join(Markup(tags[kind]).format(shown) for kind, shown in spans(text))


def bullets(text: str) -> list[str]:
    """Return the items of a Markdown list, each in one line."""
    return [" ".join(item.split()) for item in re.split(r"^- ", text, flags=re.MULTILINE) if item]
