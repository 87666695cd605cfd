"""docs/one-batch.md quotes the code as it is."""

import re

from tests.helpers.paths import ROOT


def test_quotes_stand_in_the_files_that_they_name() -> None:
    page = (ROOT / "docs/one-batch.md").read_text(encoding="utf-8")
    file, quotes = None, 0
    for match in re.finditer(
        r"^`(speechllm/[\w/]+\.py)`$|^```python\n(.*?)^```$", page, re.M | re.S
    ):
        if match[1]:
            file = ROOT / match[1]
            continue
        assert file is not None
        quotes += 1
        assert match[2] in file.read_text(encoding="utf-8"), f"{file.name}:\n{match[2]}"
    assert quotes > 8
