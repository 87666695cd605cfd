"""`whisper-english`: the normaliser of OpenAI's Whisper, with which most papers of today score.

Radford et al., "Robust speech recognition via large-scale weak supervision" (2022), appendix C. The
code is the package whisper-normalizer, which brings the table of spellings along and needs neither
torch nor a download. Its version is pinned: from 0.1.2 on it adds rules that OpenAI's has not (it
makes "because" of every "cause").
"""

from functools import lru_cache
from importlib.metadata import version

from speechllm.errors import ConfigError
from speechllm.score.normalize.rules import WHITESPACE, Normalizer, Rule

WHISPER = "whisper-english"


@lru_cache(maxsize=1)
def whisper_english() -> Normalizer:
    """Return the normaliser.

    Raises:
        ConfigError: whisper-normalizer is not installed.
    """
    try:
        from whisper_normalizer.english import EnglishTextNormalizer
    except ModuleNotFoundError as error:
        remedy = "pip install 'speechllm[score]', or tools/setup.sh"
        raise ConfigError(f"the normaliser {WHISPER} needs {error.name}", remedy) from error
    says = (
        f"EnglishTextNormalizer of whisper-normalizer {version('whisper-normalizer')}: lower case; "
        "text in brackets is removed, and hmm, mm, mhm, mmm, uh, um; contractions and titles are "
        "written out; numbers and sums of money become digits; British spellings become American; "
        "accents, punctuation and other symbols are removed"
    )
    return Normalizer(WHISPER, (Rule(says, EnglishTextNormalizer()), WHITESPACE))
