"""Small corpora in the layouts of the real ones: noise for speech, made-up sentences for words."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from tests.helpers.tiny import SENTENCES

Cut = tuple[float, float, str]
DOMAINS = {"source": ("life", "talent", "english"), "dev": ("pet", "dance")}


def sentence(number: int) -> str:
    """One of the tiny models' sentences, as LibriSpeech and SlideSpeech write."""
    return SENTENCES[number % len(SENTENCES)].upper()


def make_wave(path: Path, seconds: float = 0.8, channels: int = 1) -> Path:
    """Noise at 16 kHz."""
    rng = np.random.default_rng(len(path.name))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, rng.normal(0, 0.1, (round(16000 * seconds), channels)), 16000)
    return path


def make_librispeech(root: Path, splits: Iterable[str], count: int = 4) -> Path:
    """Splits of two chapters, of a speaker each; together `count` utterances."""
    for n, split in enumerate(splits):
        for chapter in range(2):
            speaker, book = str(100 * n + chapter + 10), str(7000 + chapter)
            folder = root / split / speaker / book
            lines = []
            for number in range(count // 2):
                utt = f"{speaker}-{book}-{number:04d}"
                make_wave(folder / f"{utt}.flac", 0.6 + 0.2 * number)
                lines.append(f"{utt} {sentence(n + number)}\n")
            (folder / f"{speaker}-{book}.trans.txt").write_text("".join(lines))
    return root


def slidespeech_line(key: str, text: str) -> str:
    """A line of the published splits."""
    source = f"<SLIDESPEECH_ROOT>/{key.rpartition('_')[0]}/audios/{key}.wav"
    return json.dumps({"key": key, "source": source, "target": text}) + "\n"


def make_slidespeech(root: Path, splits: Path, targets: Sequence[str], count: int = 4) -> None:
    """The audio, and the published splits of the source and of these targets."""
    files = {
        "life_talent_english/slidespeech_L95_train_life_talent_english.jsonl": DOMAINS["source"],
        "life_talent_english/slidespeech_dev.jsonl": DOMAINS["dev"],
        "life_talent_english/slidespeech_L95_cs_test.jsonl": DOMAINS["source"],
    }
    for target in targets:
        for part in ("train", "dev", "test"):
            files[f"{target}/slidespeech_L95_{target}_{part}.jsonl"] = (target,)
    for video, (name, domains) in enumerate(files.items()):
        lines = []
        for number in range(count):
            domain = domains[number % len(domains)]
            key = f"{domain}_{video:04d}-{number:05d}"
            make_wave(root / domain / "audios" / f"{key}.wav", 0.6 + 0.1 * number)
            lines.append(slidespeech_line(key, sentence(video + number)))
        path = splits / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines))


def textgrid(cuts: Iterable[Cut], seconds: float) -> str:
    """A TextGrid of one tier, in Praat's long form with its silences, as PriMock57 has them."""
    intervals: list[Cut] = []
    last = 0.0
    for start, end, text in cuts:
        if start > last:
            intervals.append((last, start, ""))
        intervals.append((start, end, text))
        last = end
    if last < seconds:
        intervals.append((last, seconds, ""))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0 "]
    lines += [f"xmax = {seconds} ", "tiers? <exists> ", "size = 1 ", "item []: ", "    item [1]:"]
    lines += ['        class = "IntervalTier" ', '        name = "Doctor" ', "        xmin = 0 "]
    lines += [f"        xmax = {seconds} ", f"        intervals: size = {len(intervals)} "]
    for number, (start, end, text) in enumerate(intervals, 1):
        escaped = text.replace('"', '""')
        lines += [f"        intervals [{number}]:", f"            xmin = {start} "]
        lines += [f"            xmax = {end} ", f'            text = "{escaped}" ']
    return "\r\n".join(lines) + "\r\n"


def make_primock57(root: Path, days: Iterable[int] = (1, 2, 3, 4, 5)) -> Path:
    """A consultation a day, four stretches of each side; the doctor's third is not understood."""
    for day in days:
        for side in ("doctor", "patient"):
            name = f"day{day}_consultation01_{side}"
            make_wave(root / "audio" / f"{name}.wav", 6.0)
            said = [f"{sentence(day + n).capitalize()}." for n in range(4)]
            said[1] = f"Um, <UNSURE>{said[1]}</UNSURE>"
            said[2] += " <UNIN/>" if side == "doctor" else ""
            cuts = [(1.3 * n + 0.2, 1.3 * n + 1.2, text) for n, text in enumerate(said)]
            path = root / "transcripts" / f"{name}.TextGrid"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(textgrid(cuts, 6.0).encode())
    return root


def make_mts_dialog(root: Path, count: int = 3) -> Path:
    """Both files, `count` dialogues of two turns each."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("TrainingSet", "ValidationSet"):
        rows = ["ID,section_header,section_text,dialogue\n"]
        for n in range(count):
            turns = f"Doctor: {sentence(n).lower()}?\nPatient: Well, {sentence(n + 1).lower()}. "
            rows.append(f'{n},GENHX,"A note, with a comma.","{turns}"\n')
        (root / f"MTS-Dialog-{name}.csv").write_text("".join(rows))
    return root


def make_definedai(root: Path, sets: dict[str, Sequence[str]]) -> Path:
    """Calls of an agent and a caller, three stretches each; `sets` are lists of domain/call."""
    for name, calls in sets.items():
        lists = root / "lists" / f"{name}.txt"
        lists.parent.mkdir(parents=True, exist_ok=True)
        lists.write_text("".join(f"{call}\n" for call in calls))
        for call in calls:
            domain, _, number = call.partition("/")
            rows = ["channel\tstart\tend\ttext\n"]
            for n in range(3):
                for side, offset in (("agent", 0.0), ("caller", 0.9)):
                    start = 1.8 * n + offset
                    text = sentence(n + len(call)).capitalize()
                    rows.append(f"{side}\t{start:.2f}\t{start + 0.8:.2f}\t{text}.\n")
            path = root / domain / "transcripts" / f"{number}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(rows))
            for side in ("agent", "caller"):
                make_wave(root / domain / "audio" / f"{number}_{side}.wav", 6.0)
    return root


def edit(path: Path, old: str, new: str) -> Path:
    """Replace the first `old` of a file, which must be there."""
    text = path.read_bytes().decode()
    assert old in text, f"{old!r} is not in {path}"
    path.write_bytes(text.replace(old, new, 1).encode())
    return path


def slurp_row(number: int) -> dict:
    """A line of SLURP: its last two words are an entity."""
    words = sentence(number).lower().split()
    stem = f"audio-{1500000000 + number}"
    files = [f"{stem}-headset.flac", f"{stem}.flac"]
    return {
        "slurp_id": number,
        "sentence": " ".join(words),
        "intent": "farm_say",
        "action": "say" if number % 2 else "ask",
        "scenario": "farm",
        "tokens": [{"surface": word, "id": i} for i, word in enumerate(words)],
        "entities": [{"span": [len(words) - 2, len(words) - 1], "type": "thing"}],
        "recordings": [{"file": file, "wer": 0.0, "status": "correct"} for file in files],
    }


def make_slurp(
    root: Path, splits: Sequence[str] = ("train", "devel", "test"), count: int = 3
) -> Path:
    """Lines of several splits, each with a close and a distant recording."""
    folder = root / "dataset/slurp"
    folder.mkdir(parents=True, exist_ok=True)
    for n, split in enumerate(splits):
        rows = [slurp_row(100 * n + number) for number in range(count)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        for recording in (r for row in rows for r in row["recordings"]):
            make_wave(root / "audio/slurp_real" / recording["file"], 0.7)
    return root


def make_massive(root: Path, languages: Iterable[str], count: int = 3) -> Path:
    """Parquet files of Speech-MASSIVE with the columns that are read, in two pieces each."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    for language in languages:
        (root / language).mkdir(parents=True, exist_ok=True)
        for split in ("train", "train_115", "validation", "test"):
            rows = []
            for number in range(count):
                words = sentence(number).lower().split()
                wav = make_wave(root / "wav" / f"{number}.wav", 0.6).read_bytes()
                labelled = f"{' '.join(words[:-2])} [thing : {' '.join(words[-2:])}]"
                rows.append(
                    {
                        "id": f"{split}{number}",
                        "utt": " ".join(words),
                        "annot_utt": labelled,
                        "scenario_str": "farm",
                        "intent_str": "farm_say",
                        "speaker_id": "s1",
                        "audio": {"bytes": wav, "path": f"{number}.wav"},
                    }
                )
            for piece in range(2):
                table = arrow.Table.from_pylist(rows[piece::2])
                name = f"{split}-{piece:05d}-of-00002.parquet"
                parquet.write_table(table, root / language / name)
    return root


def make_massive_text(root: Path, languages: Iterable[str], count: int = 4) -> Path:
    """MASSIVE's text of some languages."""
    root.mkdir(parents=True, exist_ok=True)
    for language in languages:
        rows = []
        for number in range(count):
            words = sentence(number).lower().split()
            labelled = f"{' '.join(words[:-2])} [thing : {' '.join(words[-2:])}]"
            rows.append(
                {
                    "id": str(number),
                    "partition": "train",
                    "scenario": "farm",
                    "intent": "farm_say",
                    "annot_utt": labelled,
                }
            )
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (root / f"{language}.jsonl").write_text(lines)
    return root
