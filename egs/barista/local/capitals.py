"""Write the transcripts of data dirs in capitals, as LibriSpeech has them.

An LLM has few tokens for words in capitals and spells most of them. A projector that has heard a
thousand pieces of words can thus write words that it has never heard.
"""

import argparse
from pathlib import Path

from speechllm.data.kaldi import read_table, write_table
from speechllm.errors import SpeechLLMError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", help="data dirs")
    for folder in parser.parse_args().data:
        path = folder / "text"
        found = read_table(path)
        capitals = {utt: text.upper() for utt, text in found.items()}
        if capitals != found:
            write_table(path, capitals)


if __name__ == "__main__":
    try:
        main()
    except SpeechLLMError as error:
        raise SystemExit(f"local/data.sh: error: {error}") from None
