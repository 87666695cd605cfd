"""docs/api.md is what tools/api.py makes of the docstrings."""

import importlib.util

from tests.helpers.paths import ROOT


def test_the_page_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("api", ROOT / "tools/api.py")
    assert spec and spec.loader
    api = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(api)
    assert (ROOT / "docs/api.md").read_text(encoding="utf-8") == api.page(), "run tools/api.py"
