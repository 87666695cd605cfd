"""Find a text normaliser by name; it is applied to both sides before scoring.

There are `plain` and `english` (`rules`), `whisper-english` (`openai_whisper`) and files of rules
(`rules_file`). Every score names its normaliser.
"""

from speechllm.errors import ConfigError, did_you_mean
from speechllm.score.normalize.openai_whisper import WHISPER, whisper_english
from speechllm.score.normalize.rules import NORMALIZERS, Normalizer
from speechllm.score.normalize.rules_file import RULES_SUFFIXES, read_rules

KNOWN = (*NORMALIZERS, WHISPER)
"""Names of the normalisers that are not a file."""


def normalizer(name: str) -> Normalizer:
    """Return the normaliser called `name`, or that of a rules file (docs/scoring.md).

    Raises:
        ConfigError: no normaliser has that name, its package is missing, or the file is malformed.

    >>> normalizer("english")("It's 5 O'Clock, Mr. Smith!")
    "it's 5 o'clock mister smith"
    """
    if name in NORMALIZERS:
        return NORMALIZERS[name]
    if name == WHISPER:
        return whisper_english()
    if name.endswith(RULES_SUFFIXES):
        return read_rules(name)
    hint = did_you_mean(name, KNOWN)
    raise ConfigError(f"no normaliser '{name}'{hint}", "or give a file of rules, x.yaml")


def describe(name: str) -> list[str]:
    """Return the rules of a normaliser, in the order in which they apply.

    Raises:
        ConfigError: see `normalizer`.
    """
    return [rule.says for rule in normalizer(name).rules]
