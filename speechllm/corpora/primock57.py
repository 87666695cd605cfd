"""PriMock57 (Papadopoulos Korfiatis et al., ACL 2022): mock consultations of 57 patients.

    <root>/audio/day<d>_consultation<nn>_{doctor,patient}.wav
    <root>/transcripts/day<d>_consultation<nn>_{doctor,patient}.TextGrid

A side of a call is a wav and a TextGrid of one tier, whose times are seconds of the call.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from speechllm.corpora.reading.spoken import spoken_form
from speechllm.corpora.reading.textgrid import Interval, read_textgrid
from speechllm.corpora.reading.utterances import Utterance, say_left_out
from speechllm.data.dirs.kaldi import Audio
from speechllm.errors import DataError

SIDE = re.compile(r"day(?P<day>\d)_consultation\d\d_(doctor|patient)")
UNINTELLIGIBLE = re.compile(r"<(UNIN|INAUDIBLE_SPEECH)/>")
UNSURE = re.compile(r"</?UNSURE>")
REMEDY = "--primock57_root is the folder with audio/ and transcripts/ in it"


def read_days(
    root: Path, days: Collection[int], with_audio: bool = True, keep_unintelligible: bool = False
) -> list[Utterance]:
    """Read all consultations of some days.

    Words that the transcriber was unsure of are taken. A stretch with unintelligible words is left
    out with a warning, as its transcript is not all that was spoken.

    Args:
        root: the folder of the layout above.
        days: numbers from 1 to 5.
        with_audio: False takes the transcripts alone.
        keep_unintelligible: take stretches with unintelligible words too, without these words.

    Raises:
        DataError: no transcripts of a day, a TextGrid that is misnamed, broken or not of one tier,
            an unknown mark, or a side without audio.
    """
    sides: dict[int, list[Path]] = {day: [] for day in days}
    for path in sorted((root / "transcripts").glob("*.TextGrid")):
        match = SIDE.fullmatch(path.stem)
        if not match:
            raise DataError("not day<d>_consultation<nn>_{doctor,patient}.TextGrid", path)
        if int(match["day"]) in sides:
            sides[int(match["day"])].append(path)
    if lacking := [day for day, paths in sides.items() if not paths]:
        message = f"there is no consultation of day {lacking[0]}"
        raise DataError(message, root / "transcripts", remedy=REMEDY)
    left_out: list[str] = []
    utterances: list[Utterance] = []
    for path in (path for paths in sides.values() for path in paths):
        utterances += _read_side(root, path, with_audio, keep_unintelligible, left_out)
    say_left_out("not understood by the transcriber", left_out)
    return utterances


def _read_side(
    root: Path, path: Path, with_audio: bool, keep_unintelligible: bool, left_out: list[str]
) -> Iterator[Utterance]:
    name = path.stem
    wav = root / "audio" / f"{name}.wav"
    if with_audio and not wav.is_file():
        raise DataError(f"there is no {wav}", path, remedy=REMEDY)
    tiers = read_textgrid(path)
    if len(tiers) != 1:
        raise DataError(f"{len(tiers)} interval tiers, and one is wanted", path)
    for number, interval in enumerate(tiers[0].intervals, 1):
        utt = f"{name}-{number:04d}"
        text = _words(interval, path)
        if UNINTELLIGIBLE.search(interval.text) and not (keep_unintelligible and text):
            left_out.append(utt)
        elif text:
            cut = Audio(str(wav), interval.start, interval.end, name) if with_audio else None
            yield Utterance(utt, text, cut, name)


def _words(interval: Interval, path: Path) -> str:
    text = UNSURE.sub("", UNINTELLIGIBLE.sub(" ", interval.text))
    if mark := re.search("[<>]", text):
        message = f"a mark that is not known: {text[mark.start() :][:30]!r}"
        raise DataError(message, path, interval.line)
    return spoken_form(text)
