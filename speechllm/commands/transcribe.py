"""transcribe recordings with a packed model or the folder of a run"""

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from speechllm.commands.options.cutting import add_cutting
from speechllm.errors import ConfigError, SpeechLLMError

if TYPE_CHECKING:
    from speechllm.transcribe.transcript import Transcript

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm transcribe`."""
    from speechllm.transcribe.formats import FORMATS

    parser.add_argument(
        "--model",
        required=True,
        help="packed folder, folder of a run, or packed model of the hub: owner/name[@revision]",
    )
    parser.add_argument("--domain", help="of the model (default: base)")
    parser.add_argument(
        "--format",
        action="append",
        choices=FORMATS,
        help="may be given several times with --out (default: text)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for a file of each recording; by default all goes to stdout",
    )
    add_cutting(parser)
    parser.add_argument(
        "--channel",
        type=_channel,
        metavar="N",
        help="hear this channel, counted from 0 (default: as the data dir says, else the mean)",
    )
    parser.add_argument("--config", type=Path, help="yaml of DecodeConfig instead of the model's")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (default: a GPU, where there is one)")
    parser.add_argument("--allow_pipes", action="store_true", help="let wav.scp hold commands")
    parser.add_argument("--trust_remote_code", action="store_true", help="run the models' own code")
    parser.add_argument(
        "audio",
        nargs="+",
        help="files, folders, wav.scp files or data dirs; and changes of the search, e.g. beam=8",
    )
    parser.set_defaults(overrides=[])


def _channel(word: str) -> int:
    from speechllm.data.dirs.kaldi import parse_channel

    try:
        return parse_channel(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(args: argparse.Namespace) -> None:
    """Transcribe all recordings that can be read, then report the others.

    Raises:
        ConfigError: the output cannot go to stdout, or subtitles were asked of a model whose task
            does not answer with text to read.
        SpeechLLMError: some recordings could not be read.
    """
    from speechllm.config import parse, with_overrides
    from speechllm.data.dirs.tables import first_ids
    from speechllm.decode.config import DecodeConfig
    from speechllm.transcribe.formats import FORMATS, ONE_FILE_EACH, SUBTITLES
    from speechllm.transcribe.recordings import find_recordings

    formats = list(dict.fromkeys(args.format or ["text"]))
    overrides = args.overrides
    parse(DecodeConfig, with_overrides({}, overrides), "transcribe")  # before the model is loaded
    recordings = find_recordings(args.audio, args.channel)
    if not args.out and (len(formats) > 1 or (formats[0] in ONE_FILE_EACH and len(recordings) > 1)):
        raise ConfigError(
            f"{' and '.join(formats)} of {len(recordings)} recordings cannot all go to stdout",
            "name a folder with --out",
        )

    from speechllm.transcribe.recogniser import CutConfig, Recogniser
    from speechllm.transcribe.search_config import search_config

    cut = {"max_seconds": args.max_seconds, "min_pause": args.min_pause, "vad": args.vad}
    cut_config = parse(CutConfig, cut, "transcribe")
    recogniser = Recogniser.from_pretrained(
        args.model, args.domain, args.device, args.trust_remote_code
    )
    if not recogniser.task.is_read and (titles := [f for f in formats if f in SUBTITLES]):
        raise ConfigError(
            f"{' and '.join(titles)} show what was said, and the model's task "
            f"{recogniser.task.name} answers with something else",
            "choose --format text or jsonl",
        )
    decode = search_config(recogniser.decode, recogniser.task, args.config, overrides, args.domain)
    recogniser.keep_to(recogniser.domain, decode.precision, decode.adapted)
    stdout = sys.stdout  # a progress bar on a terminal replaces sys.stdout
    unreadable, silent = [], []
    for transcript in recogniser.stream(recordings, None, decode, cut_config, args.allow_pipes):
        if transcript.error:
            unreadable.append(transcript.id)
            continue
        if not transcript.pieces:
            silent.append(transcript.id)
        if args.out:
            _write(args.out, transcript, formats)
        else:
            stream = sys.stdout if stdout.isatty() else stdout
            stream.write(FORMATS[formats[0]][1](transcript))
            stream.flush()
    if silent:
        log.warning("nothing but silence: %s", first_ids(silent))
    if unreadable:
        raise SpeechLLMError(
            f"of {len(recordings)} recordings these could not be read: {first_ids(unreadable)}"
        )


def _write(folder: Path, transcript: "Transcript", formats: list[str]) -> None:
    from speechllm.files.whole import whole_file
    from speechllm.transcribe.formats import FORMATS

    for name in formats:
        ending, render = FORMATS[name]
        with whole_file(folder / f"{transcript.id}.{ending}") as stream:
            stream.write(render(transcript))
