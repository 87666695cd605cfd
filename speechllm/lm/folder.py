"""Language models on disk: those of `speechllm lm`, ARPA files, and any causal LM.

Finding and hashing them imports no torch, so that finished work is found quickly.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechllm.config import ModelConfig, parse
from speechllm.errors import ConfigError, DataError, SpeechLLMError, shell_word
from speechllm.files.layout import LANGUAGE_MODEL, RUN, TENSORS
from speechllm.files.made_from import digest
from speechllm.files.own import made_again, read_mapping, read_tensors
from speechllm.files.whole import sha256_of, write_json
from speechllm.lm.arpa import read_arpa
from speechllm.lm.config import NetworkConfig
from speechllm.lm.ngram import NGram
from speechllm.pretrained import resolve_folder, weights_hash

if TYPE_CHECKING:
    from torch import device as Device

    from speechllm.lm.token_lm import TokenLM

DESCRIPTION = "lm.json"
"""File beside a network's tensors: its sizes, and the vocabulary that it was trained on."""
ARPA = "lm.arpa"


def find_lm(name: str, key: str) -> Path:
    """Find the folder or ARPA file of a language model; a hub id is downloaded.

    Args:
        name: folder, ARPA file or hub id.
        key: config key that names it, for messages.

    Raises:
        ConfigError: it does not exist, or `speechllm lm` has not finished it.
        DataError: files that `speechllm lm` wrote were changed.
    """
    path = Path(name)
    if path.is_dir() and _is_ours(path):
        if not (path / RUN).is_file():
            raise ConfigError(
                f"{key}: {name} is half made", "go on with the command that made it: stage lm"
            )
        check_lm(path)
        return path / ARPA if (path / ARPA).is_file() else path
    if path.is_file() or path.suffix in (".arpa", ".gz"):
        return path
    if "/lm/" in name and not path.exists():
        raise ConfigError(f"{key}: there is no {name}", "make it: stage lm")
    return resolve_folder(name, key)


def _is_ours(folder: Path) -> bool:
    if any((folder / name).is_file() for name in (DESCRIPTION, ARPA)):
        return True
    run = folder / RUN  # its other files may be lost
    return run.is_file() and read_mapping(run).get("kind") == LANGUAGE_MODEL


def written_files(folder: Path) -> dict[str, str]:
    """Hashes of the files that `speechllm lm` makes, by name."""
    names = (ARPA, TENSORS, DESCRIPTION)
    return {name: digest(folder / name) for name in names if (folder / name).is_file()}


def check_lm(folder: Path) -> None:
    """Raise DataError if files of a finished language model were changed."""
    remedy = f"rm {shell_word(folder / RUN)}, then run the stage lm again: it makes it anew"
    written = read_mapping(folder / RUN, remedy).get("written")
    if written is not None and written != (found := written_files(folder)):
        odd = next(n for n in (*written, *found) if written.get(n) != found.get(n))
        raise DataError("is not what was written", folder / odd, remedy=remedy)


def lm_hash(path: Path) -> str:
    """Hash of a language model that `find_lm` found."""
    if path.is_file() or not path.is_dir():
        return sha256_of([path])
    if (path / DESCRIPTION).is_file():
        return sha256_of([path / TENSORS, path / DESCRIPTION])
    return weights_hash(path)


def save_network(
    folder: Path, module: Any, config: NetworkConfig, size: int, lm: "TokenLM", vocabulary: str
) -> None:
    """Write a trained network; lm.json comes last.

    Args:
        folder: of the language model.
        module: the network.
        config: its settings.
        size: number of tokens that it knows.
        lm: says which tokens begin and end a sentence.
        vocabulary: hash of the tokenizer's vocabulary.
    """
    from speechllm.model.bundle import save_trained

    save_trained(folder / TENSORS, module)
    write_json(
        folder / DESCRIPTION,
        {
            "network": config.model_dump(mode="json", exclude={"train"}),
            "size": size,
            "begin": lm.begin,
            "end": lm.end,
            "vocabulary": vocabulary,
        },
    )


def load_lm(
    path: Path, key: str, tokenizer: Any, device: "Device | str" = "cpu"
) -> "TokenLM | NGram":
    """Load a language model that `find_lm` found.

    Args:
        path: folder, or ARPA file.
        key: config key that named it, for messages.
        tokenizer: of the recogniser's LLM; a network must have its vocabulary.
        device: for a network.

    Raises:
        ConfigError: it has another vocabulary, or cannot be loaded.
        DataError: the ARPA file is broken.
    """
    if not path.is_dir():
        return read_arpa(path)
    if (path / DESCRIPTION).is_file():
        return _load_network(path, key, tokenizer, device)
    return _load_causal(path, key, tokenizer, device)


def _load_network(folder: Path, key: str, tokenizer: Any, device: "Device | str") -> "TokenLM":
    from speechllm.lm.network import as_network, make_module
    from speechllm.lm.token_lm import TokenLM
    from speechllm.lm.vocabulary import vocabulary_hash
    from speechllm.model.bundle import restore_tensors

    described = read_mapping(folder / DESCRIPTION, made_again(folder))
    if described["vocabulary"] != vocabulary_hash(tokenizer):
        raise ConfigError(
            f"{key}: {folder} was trained on another tokenizer than that of the recogniser's LLM",
            "train it again with --base naming this recogniser",
        )
    values = described["network"] | {"train": {"steps": 1}}
    config = parse(NetworkConfig, values, folder / DESCRIPTION)
    module = make_module(config, described["size"])
    restore_tensors(module, read_tensors(folder / TENSORS, made_again(folder)), folder / TENSORS)
    network = as_network(module.to(device).eval())
    return TokenLM(network, described["begin"], described["end"], device)


def _load_causal(folder: Path, key: str, tokenizer: Any, device: "Device | str") -> "TokenLM":
    from speechllm.lm.network import CausalNetwork
    from speechllm.lm.token_lm import TokenLM
    from speechllm.lm.vocabulary import check_same_vocabulary
    from speechllm.model.llm import load_llm, load_tokenizer

    # Loaded like the recogniser's own LLM, so that it is refused for the same reasons.
    config = ModelConfig(llm=str(folder), encoder="none")
    try:
        theirs = load_tokenizer(config)
        check_same_vocabulary(f"{key}: {folder}", theirs, tokenizer)
        model = load_llm(config)
    except SpeechLLMError as error:
        raise ConfigError(error.message.replace("model.llm", key), error.remedy) from error
    end = theirs.eos_token_id
    begin = end if theirs.bos_token_id is None else theirs.bos_token_id
    if end is None:
        raise ConfigError(f"{key}: the tokenizer of {folder} has no end-of-sequence token")
    return TokenLM(CausalNetwork(model.to(device).eval()), [begin], end, device)
