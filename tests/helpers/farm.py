"""A small set whose every figure can be counted by hand, and how tests look at its page."""

from typing import Any

TEXTS = {
    "ann-1": "we plant sugar beet in the cold soil",
    "ann-2": "the price of barley",
    "bob-1": "when will you harvest the wheat",
    "bob-2": "early rain",
    "bob-3": "seven hundred potato",
}
BASE = {
    "ann-1": "we plant sugar feet in the cold soil",  # sugar beet wrong, 1 of 8
    "ann-2": "the price of barley",
    "bob-1": "when you harvest the the wheat",  # 1 deletion, 1 insertion of 6
    "bob-2": "early train",  # 1 of 2
    "bob-3": "seven hundred potato",
}
BETTER = {
    "ann-1": "we plant sugar beet in the cold soil",  # fixed
    "ann-2": "the price of parlay",  # broken
    "bob-1": "when will you harvest the the wheat",  # better
    "bob-2": "early train",
    "bob-3": "seven hundred potato",
}
RECORDS = [
    {"id": "ann-1", "text": "", "confidence": 0.91},
    {
        "id": "bob-1",
        "text": "",
        "confidence": 0.35,
        "guard": {"flags": ["loop"], "retried": True, "first": "the the the"},
    },
    {
        "id": "bob-2",
        "text": "",
        "confidence": 0.5,
        "words": [
            {"word": "early", "start": 0.0, "end": 0.1},
            {"word": "train", "start": 0.2, "end": 0.3},
        ],
    },
]


def listed(page: Any, wait: int = 20) -> list[str]:
    """Ids in the list; after typing the page waits 120 ms for more."""
    page.wait_for_timeout(wait)
    return page.locator("#rows .id").all_inner_texts()


def choose(page: Any, name: str, value: str) -> None:
    page.locator(f"#filters [name={name}]").select_option(value)
