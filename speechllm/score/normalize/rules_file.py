"""A normaliser as a yaml file: ordered rules, no code.

    rules:
      - like: english                                   # all rules of a named normaliser
      - unicode: NFKC                                   # or NFC, NFD, NFKD
      - lower: true
      - regex: {find: ' - ', replace: ' '}        # of Python's re; replace may be ''
      - words: {colour: color, gonna: going to, uh: ''}  # whole words; '' removes
      - strip: '.,?!'                                   # these characters become a space
      - strip: punctuation                              # save ' inside a word and a decimal point

Every value is text as it stands: yaml's `no` or `1` are the words "no" and "1". White space is made
single at the end. The normaliser is called after the file and its content: `<stem>@<hash>`.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

import yaml

from speechllm.data.dirs.forms import strip_punctuation
from speechllm.errors import ConfigError, did_you_mean
from speechllm.files.strict_yaml import YamlError, compose_yaml
from speechllm.files.utf8 import decode
from speechllm.score.normalize.openai_whisper import WHISPER, whisper_english
from speechllm.score.normalize.rules import NORMALIZERS, WHITESPACE, Normalizer, Rule

RULES_SUFFIXES = (".yaml", ".yml")
FORMS = ("NFC", "NFD", "NFKC", "NFKD")
WORDS_SHOWN = 12  # words of a `words` rule that are printed


def read_rules(path: str | Path) -> Normalizer:
    """Read a file of rules.

    Raises:
        ConfigError: the file is missing or malformed; the error names the line.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    return _parse(Path(path), content)


@lru_cache(maxsize=16)
def _parse(path: Path, content: bytes) -> Normalizer:
    try:
        root = compose_yaml(decode(content, path, ConfigError))
    except YamlError as error:
        raise ConfigError(f"{error.place(path)}: is not yaml: {error}") from error
    rules = _RulesReader(path).file(root)
    digest = hashlib.sha256(content).hexdigest()[:8]
    return Normalizer(f"{path.stem}@{digest}", (*rules, WHITESPACE))


class _RulesReader:
    """Turns yaml nodes, which have line numbers for errors, into rules."""

    def __init__(self, path: Path):
        self.path = path
        self.kinds: dict[str, Callable[[yaml.Node], tuple[Rule, ...]]] = {
            "like": self.like,
            "unicode": self.unicode,
            "lower": self.lower,
            "regex": self.regex,
            "words": self.words,
            "strip": self.strip,
        }

    def fail(self, message: str, node: yaml.Node | None) -> NoReturn:
        line = node.start_mark.line + 1 if node else 1
        raise ConfigError(f"{self.path}:{line}: {message}", "see docs/scoring.md, Normalisers")

    def text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self.fail("a text is needed here", node)
        return node.value

    def pairs(self, node: yaml.Node | None, what: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self.fail(f"{what} is needed here", node)
        pairs: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self.text(key)
            if name in pairs:
                self.fail(f"'{name}' stands twice", key)
            pairs[name] = value
        return pairs

    def file(self, root: yaml.Node | None) -> list[Rule]:
        top = self.pairs(root, "`rules:` with a list of rules")
        if odd := [key for key in top if key != "rules"]:
            self.fail(f"unknown key '{odd[0]}'{did_you_mean(odd[0], ['rules'])}", top[odd[0]])
        node = top.get("rules")
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self.fail("`rules:` with a list of rules is needed", node or root)
        return [rule for item in node.value for rule in self.rules(item)]

    def rules(self, item: yaml.Node) -> tuple[Rule, ...]:
        pairs = self.pairs(item, f"a rule ({', '.join(self.kinds)})")
        if len(pairs) != 1:
            self.fail("one rule to an item: begin each with '- '", item)
        ((kind, value),) = pairs.items()
        if kind not in self.kinds:
            self.fail(f"unknown rule '{kind}'{did_you_mean(kind, self.kinds)}", item)
        return self.kinds[kind](value)

    def like(self, node: yaml.Node) -> tuple[Rule, ...]:
        name, names = self.text(node), (*NORMALIZERS, WHISPER)
        if name not in names:
            self.fail(f"no normaliser '{name}'{did_you_mean(name, names)}", node)
        return (whisper_english() if name == WHISPER else NORMALIZERS[name]).rules

    def unicode(self, node: yaml.Node) -> tuple[Rule, ...]:
        form = self.text(node)
        if form not in FORMS:
            self.fail(f"no Unicode form '{form}'; known: {', '.join(FORMS)}", node)
        return (Rule(f"Unicode {form}", lambda text: unicodedata.normalize(form, text)),)

    def lower(self, node: yaml.Node) -> tuple[Rule, ...]:
        if self.text(node) != "true":
            self.fail("lower is `true`, or left out", node)
        return (Rule("lower case", str.lower),)

    def regex(self, node: yaml.Node) -> tuple[Rule, ...]:
        pairs = self.pairs(node, "{find: ..., replace: ...}")
        if pairs.keys() != {"find", "replace"}:
            self.fail("a regex has `find` and `replace`, nothing else", node)
        find, replace = self.text(pairs["find"]), self.text(pairs["replace"])
        try:
            pattern = re.compile(find)
            pattern.sub(replace, "")  # parses the replacement, whether anything matches or not
        except (re.error, IndexError, OverflowError, RecursionError) as error:
            self.fail(f"bad regex: {error}", node)
        says = f"regex /{find}/ becomes '{replace}'"
        return (Rule(says, lambda text: pattern.sub(replace, text), pattern=pattern),)

    def words(self, node: yaml.Node) -> tuple[Rule, ...]:
        pairs = self.pairs(node, "a map of words")
        words = {word: self.text(value) for word, value in pairs.items()}
        for word in words:
            if not word or word.split() != [word]:
                self.fail(f"'{word}' is not one word; a regex can replace several", node)
        shown = [f"{word} -> {to or 'nothing'}" for word, to in words.items()][:WORDS_SHOWN]
        more = f" and {len(words) - len(shown)} more" if len(words) > len(shown) else ""
        return (
            Rule(
                f"words: {', '.join(shown)}{more}",
                lambda text: " ".join(words.get(word, word) for word in text.split()),
                words=tuple(words),
            ),
        )

    def strip(self, node: yaml.Node) -> tuple[Rule, ...]:
        characters = self.text(node)
        if characters == "punctuation":
            says = "punctuation becomes a space, except ' inside a word and a decimal point"
            return (Rule(says, strip_punctuation),)
        if not characters:
            self.fail("strip names no character", node)
        table = dict.fromkeys(map(ord, characters), " ")
        says = f"each of {' '.join(characters)} becomes a space"
        return (Rule(says, lambda text: text.translate(table)),)
