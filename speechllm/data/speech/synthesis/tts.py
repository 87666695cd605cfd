"""Speech and phones from text with espeak-ng, whose library and voices come in a Python wheel.

The samples depend on the arguments alone, not on what was synthesised before, so that any number
of processes make the same data. espeak by itself breaks this, which is fixed here: its noise
(breath) comes from one random generator, which is seeded again for every text; and the phase of
`flutter`, the cycle of `roughness` and the tail of `echo` outlive an utterance, so these three are
switched off. Two things still vary by some samples: the trilled r of en-gb-scotland, and the noise
of the Klatt variants with breath, caleb and Reed.
"""

import ctypes
import functools
import re
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechllm.errors import SpeechLLMError, did_you_mean

SAMPLE_RATE = 16000

# Constants of espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_UTF8 = 1
_POSITION_CHARACTER = 1
_RATE, _PITCH = 1, 3
_IPA = 0x02
_SEPARATOR = ord("_") << 8

_DROPPED_LINES = ("language", "name", "flutter", "roughness", "echo")

# espeak's IPA in one phone inventory for all English accents: the sound of another accent (Scottish
# "oː" is "oʊ"), or several phones where espeak has one. Other sounds stand for themselves.
_ENGLISH = dict(
    line.split(maxsplit=1)
    for line in """
    ɐ ə|ɚ ə ɹ|əɹ ə ɹ|əl ə l|n̩ ə n|ʔ t|ɜ ə|ᵻ ɪ|i iː|a æ|aa æ|ɛə æ|aː ɑː|a: ɑː|ɑə ɑː|ɔ ɔː|ɔə ɔː|oə ɔː
    e eɪ|eː eɪ|eʲ eɪ|o oʊ|oː oʊ|əʊ oʊ|ʉ ʊ|ʉː uː|ʌʉ aʊ|əɪ ɜː|ɑːɹ ɑː ɹ|ɔːɹ ɔː ɹ|ʊɹ ʊ ɹ|ɛɹ ɛ ɹ|ʌɹ ʌ ɹ
    ʉɹ uː ɹ|ɪɹ ɪ ɹ|aɪɚ aɪ ə ɹ|aɪə aɪ ə|iə iː ə|eə ɛ ə|ʊə ʊ ə|r ɹ|ʍ w|x k|t̪ θ|ɬ l
    """.replace("|", "\n")
    .strip()
    .splitlines()
)


@dataclass(frozen=True)
class Voice:
    """A voice of espeak.

    Attributes:
        accent: language tag such as en-us, en-gb-scotland, de; see `accents()`.
        variant: vocal tract and source such as m3 or f2, "" for the plain voice; see `variants()`.
        rate: words a minute, 80 to 450.
        pitch: 0 to 99, relative to the variant's own pitch; 50 leaves it as it is.
    """

    accent: str = "en-us"
    variant: str = ""
    rate: int = 175
    pitch: int = 50


class Espeak:
    """The espeak-ng library. Its state is one per process: get it with `espeak()`."""

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise SpeechLLMError(
                "speech synthesis needs the package espeakng-loader",
                "pip install 'speechllm[mini]'",
            ) from error
        self._data = Path(espeakng_loader.get_data_path())
        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        # In retrieval mode (1) espeak_Synth may wait for ever for its own event thread.
        self._rate = self._lib.espeak_Initialize(_SYNCHRONOUS, 0, str(self._data).encode(), 0)
        if self._rate <= 0:
            raise SpeechLLMError(
                f"espeak-ng cannot read its voices in {self._data}",
                "pip install --force-reinstall espeakng-loader",
            )
        self._lock = threading.Lock()
        self._chunks: list[np.ndarray] = []
        callback = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self._callback = callback(self._collect)  # kept: ctypes does not hold a reference
        self._lib.espeak_SetSynthCallback(self._callback)
        self._lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._lib.espeak_TextToPhonemes.argtypes = [
            ctypes.POINTER(ctypes.c_void_p),
            ctypes.c_int,
            ctypes.c_int,
        ]

    @functools.cached_property
    def _accent_files(self) -> dict[str, Path]:
        files = {}
        for path in sorted((self._data / "lang").rglob("*")):
            if path.is_file() and (tag := re.search(r"^language\s+(\S+)", path.read_text(), re.M)):
                files[tag.group(1).lower()] = path
        return files

    def accents(self) -> list[str]:
        """Return the language tags that `Voice.accent` takes."""
        return sorted(self._accent_files)

    def variants(self) -> list[str]:
        """Return the names that `Voice.variant` takes."""
        names = (path.name for path in (self._data / "voices" / "!v").iterdir())
        # The robosoft variants ask for an intonation that does not exist: espeak reads beyond
        # its table, and the voices that are used afterwards change.
        return sorted(name for name in names if not name.startswith("robosoft"))

    def synthesise(self, text: str, voice: Voice | None = None) -> np.ndarray:
        """Speak `text`.

        Returns:
            float32 [samples] in [-1, 1] at 16 kHz.

        Raises:
            SpeechLLMError: unknown accent or variant, or a text with nothing to say in it.
        """
        import soxr

        voice = voice or Voice()
        data = text.encode()
        with self._lock:
            self._use(voice.accent, voice.variant)
            self._lib.espeak_SetParameter(_RATE, voice.rate, 0)
            self._lib.espeak_SetParameter(_PITCH, voice.pitch, 0)
            self._lib.espeak_ng_SetRandSeed(ctypes.c_long(1))
            self._chunks.clear()
            status = self._lib.espeak_Synth(
                data, len(data) + 1, 0, _POSITION_CHARACTER, 0, _UTF8, None, None
            )
            chunks = list(self._chunks)
        if status != 0 or not any(chunk.any() for chunk in chunks):
            raise SpeechLLMError(f"espeak-ng makes no sound of {text[:60]!r} (status {status})")
        samples = np.concatenate(chunks).astype(np.float32) / 32768
        return np.clip(soxr.resample(samples, self._rate, SAMPLE_RATE), -1, 1)

    def phones(self, text: str, accent: str = "en-us") -> list[str]:
        """Return the phones of `text` as the accent speaks it: IPA, no stress, no word marks.

        English accents share one inventory.

        Raises:
            SpeechLLMError: unknown accent.
        """
        # \u0361 and \u200d tie letters of one sound.
        ipa = re.sub("[ˈˌ\u0361\u200d]", "", self.ipa(text, accent, _SEPARATOR))
        english = accent.startswith("en")
        phones: list[str] = []
        for phone in re.split(r"[_\s]+", ipa.strip("_ \n")):
            phones.extend(_ENGLISH.get(phone, phone).split() if english else [phone] * bool(phone))
        return phones

    def ipa(self, text: str, accent: str = "en-us", separator: int = 0) -> str:
        """Return `text` in IPA as espeak writes it: with stress, words parted by spaces.

        Args:
            text: the text.
            accent: see `Voice.accent`.
            separator: a character between phones, as espeak takes it; none by default.

        Raises:
            SpeechLLMError: unknown accent.
        """
        buffer = ctypes.create_string_buffer(text.encode())
        rest = ctypes.c_void_p(ctypes.addressof(buffer))
        clauses = []
        with self._lock:
            self._use(accent, "")
            while rest.value:  # one call for each clause; the pointer ends as NULL
                clauses.append(
                    self._lib.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA | separator)
                )
        # "(en)" marks a switch of language.
        return re.sub(r"\([a-z-]+\)", "", b" ".join(clauses).decode())

    def _use(self, accent: str, variant: str) -> None:
        """Set espeak's voice anew, which also makes it forget the text before.

        Not by name ("en-us+m3"): that would bring flutter, roughness and echo along.
        """
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as stream:
            stream.write(self._definition(accent, variant))
            stream.flush()
            status = self._lib.espeak_SetVoiceByFile(stream.name.encode())
        if status != 0:
            raise SpeechLLMError(f"espeak-ng refuses the voice {accent}+{variant}")

    @functools.cache  # noqa: B019  (there is one Espeak, and it stays)
    def _definition(self, accent: str, variant: str) -> str:
        """Return espeak's definition of the accent, then what the variant changes in it."""
        if accent not in self._accent_files:
            hint = did_you_mean(accent, self._accent_files)
            raise SpeechLLMError(f"espeak-ng has no accent {accent!r}{hint}")
        lines = self._accent_files[accent].read_text().splitlines()
        if variant:
            if variant not in self.variants():
                hint = did_you_mean(variant, self.variants())
                raise SpeechLLMError(f"espeak-ng has no voice variant {variant!r}{hint}")
            path = self._data / "voices" / "!v" / variant
            lines += [
                line
                for line in path.read_text().splitlines()
                if line.split() and line.split()[0] not in _DROPPED_LINES
            ]
        return "\n".join([*lines, "flutter 0", "roughness 0", ""])

    def _collect(self, samples: "ctypes._Pointer", count: int, _events: int) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0


@functools.cache
def espeak() -> Espeak:
    """Return this process's espeak.

    Raises:
        SpeechLLMError: the package espeakng-loader is not installed.
    """
    return Espeak()
