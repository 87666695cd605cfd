"""A copy of a data dir at another speed (Ko et al. 2015), as in Kaldi: data_sp0.9/ and so on."""

import argparse
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import soxr

from speechllm.data.audio import load_audio, write_audio
from speechllm.data.kaldi import DataDir, read_table, write_data_dir, write_table
from speechllm.errors import SpeechLLMError
from speechllm.progress import track

SAMPLE_RATE = 16000


def perturb(data: DataDir, speed: float, out: Path) -> None:
    """Write `data`, `speed` times as fast and so higher in pitch, with its phones."""
    prefix = f"sp{speed:g}-"
    (out / "wav").mkdir(parents=True, exist_ok=True)
    wav = {f"{prefix}{utt}": str(out / "wav" / f"{prefix}{utt}.flac") for utt in data.ids}

    def one(utt: str) -> float:
        samples = load_audio(data.audio[utt], SAMPLE_RATE)
        samples = soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE)
        write_audio(Path(wav[prefix + utt]), samples, SAMPLE_RATE)
        return len(samples) / SAMPLE_RATE

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        seconds = list(track(pool.map(one, data.ids), out.name, len(data.ids)))
    write_data_dir(
        out,
        text={prefix + utt: words for utt, words in data.text.items()},
        wav=wav,
        utt2spk={prefix + utt: prefix + data.utt2spk[utt] for utt in data.ids},
        utt2dur={prefix + utt: s for utt, s in zip(data.ids, seconds, strict=True)},
    )
    phones = read_table(data.path / "phones")
    write_table(out / "phones", {prefix + utt: phones[utt] for utt in data.ids})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data dir with phones")
    parser.add_argument("--speeds", type=float, nargs="+", required=True)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    data = DataDir.load(args.data)
    for speed in args.speeds:
        perturb(data, speed, args.data.with_name(f"{args.data.name}_sp{speed:g}"))


if __name__ == "__main__":
    try:
        main()
    except SpeechLLMError as error:
        raise SystemExit(str(error)) from None
