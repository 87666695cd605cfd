"""Folder of an imported Whisper: weights, tokenizer, filter bank, generation config."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import (
    AddedToken,
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from speechllm.convert.ct2 import read_ct2
from speechllm.convert.parts import Found
from speechllm.convert.remedies import AGAIN, AGAIN_OR_OTHER, very_own
from speechllm.convert.source import Member, Taken
from speechllm.convert.whisper import Tensors, check_spec, float_type, whisper_state
from speechllm.errors import DataError, shown
from speechllm.files.guarded import guarded

MULTILINGUAL = 51865
"""Rows of the smallest multilingual vocabulary, the criterion of openai/whisper's model.py."""
POSITIONS_PER_SECOND = 50
SPECIAL = ("endoftext", "startoftranscript", "startofprev", "notimestamps")
TASKS = ("transcribe", "translate")
TIMESTAMP = re.compile(r"<\|\d+\.\d\d\|>")


def whisper_folder(
    found: Found, path: Path, out: Path, dtype: torch.dtype | None, taken: Taken
) -> dict[str, Any]:
    """Write a transformers folder of a CTranslate2 Whisper.

    Args:
        found: the model's files.
        path: its model.bin, whole.
        out: the folder to write into.
        dtype: type of the weights; None: that of the floats in the file.
        taken: takes the hashes of the files that are read here.

    Returns:
        Contents of the folder's record.

    Raises:
        DataError: a file is missing, damaged, or does not fit.
    """
    place = found.place
    stored = read_ct2(path, place)
    check_spec(stored, place)
    dtype = dtype or float_type(stored)
    kinds = sorted({v.type for v in stored.variables.values() if v.values.ndim > 1})
    state, origin, sizes = whisper_state(Tensors(stored, place, dtype))
    settings = _beside(found, "config.json", taken).json(dict)
    tokenizer = _tokenizer(found, out, sizes["vocab_size"], taken)
    config = _config(sizes, tokenizer, dtype, place)
    model = _assigned(config, state, origin, place)
    model.generation_config = _generation(config, settings, tokenizer, found)
    _extractor(found, config, taken).save_pretrained(out)
    model.save_pretrained(out, max_shard_size="2GB")
    tokenizer.save_pretrained(out)
    return {
        "format": f"CTranslate2 {stored.spec} {stored.revision}",
        "stored": ", ".join(kinds),
        "dtype": str(dtype).removeprefix("torch."),
        "parameters": model.num_parameters(),
    }


def _beside(found: Found, name: str, taken: Taken) -> Member:
    if name not in found.beside:
        raise DataError(
            f"there is no {name} beside it",
            found.place,
            remedy=f"put the model's {name} into its folder"
            + ("; faster-whisper takes it from the hub" if name == "tokenizer.json" else ""),
        )
    return taken.small(found.beside[name])


def _config(
    sizes: Mapping[str, int], tokenizer: WhisperTokenizer, dtype: torch.dtype, place: str
) -> WhisperConfig:
    for side in ("encoder", "decoder"):
        heads = sizes[f"{side}_attention_heads"]
        if sizes["d_model"] % heads:
            message = f"{side}/num_heads is {heads}, for a width of {sizes['d_model']}"
            raise DataError(message, place, remedy=AGAIN_OR_OTHER)
    if sizes["max_source_positions"] % POSITIONS_PER_SECOND:
        message = f"has {sizes['max_source_positions']} positions of audio: not whole seconds"
        raise DataError(message, place, remedy=AGAIN_OR_OTHER)
    end = tokenizer.eos_token_id
    return WhisperConfig(
        **sizes,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=tokenizer.convert_tokens_to_ids("<|startoftranscript|>"),
        suppress_tokens=None,  # they belong to the generation config
        begin_suppress_tokens=None,
        scale_embedding=False,
        dtype=dtype,
    )


def _assigned(
    config: WhisperConfig, state: dict[str, torch.Tensor], origin: Mapping[str, str], place: str
) -> WhisperForConditionalGeneration:
    """Build the model; parameters that need no change stay mapped from the file."""
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(config)
    tied = "proj_out.weight"
    for name, parameter in model.state_dict().items():
        if name != tied and state[name].shape != parameter.shape:
            raise DataError(
                f"{origin[name]} gives {name} the shape {list(state[name].shape)}, "
                f"and the other variables {list(parameter.shape)}",
                place,
                remedy=AGAIN_OR_OTHER,
            )
    state[tied] = state["model.decoder.embed_tokens.weight"]
    model.load_state_dict(state, strict=True, assign=True)
    model.tie_weights()
    return model


def _tokenizer(found: Found, out: Path, rows: int, taken: Taken) -> WhisperTokenizer:
    """Build the source's tokenizer; timestamps that only its vocabulary has are added."""
    member = _beside(found, "tokenizer.json", taken)
    member.json(dict)
    (out / "tokenizer.json").write_bytes(member.read())
    its_own = very_own(member.base)
    with guarded(member.place, "is no tokenizer of a Whisper", remedy=its_own):
        # Read first: WhisperTokenizer adds missing special tokens, under ids of other tokens.
        ids = Tokenizer.from_file(str(out / "tokenizer.json")).get_vocab()
        tokenizer = WhisperTokenizer.from_pretrained(out)
    needed = SPECIAL + (TASKS if rows >= MULTILINGUAL else ())
    if missing := [name for name in needed if f"<|{name}|>" not in ids]:
        message = f"has no token <|{missing[0]}|>, as every Whisper's has"
        raise DataError(message, member.place, remedy=its_own)
    names = _vocabulary(found, taken)
    tokens = {number: token for token, number in ids.items()}
    if names is not None and len(names) != rows:
        message = f"the vocabulary has {len(names)} tokens, and the model {rows} rows"
        raise DataError(message, found.place, remedy="they are of two models: get both again")
    size = max(tokens) + 1
    odd = None
    for i, name in enumerate(names[:size] if names else ()):
        if _today(tokens.get(i, name)) != _today(name):
            odd = i
            break
    if size > rows or odd is not None:
        where = (
            f"token {odd} is {tokens[odd]!r}, and {names[odd]!r} in the vocabulary"
            if odd is not None
            else ""
        )
        message = where or f"has {size} tokens, and the model {rows} rows"
        raise DataError(message, member.place, remedy=its_own)
    beyond = names[size:] if names else [f"<|{0.02 * i:.2f}|>" for i in range(rows - size)]
    if wrong := [name for name in beyond if not TIMESTAMP.fullmatch(name)]:
        message = f"lacks token {wrong[0]!r}, which the model's vocabulary has"
        raise DataError(message, member.place, remedy=its_own)
    tokenizer.add_tokens([AddedToken(name, normalized=False, special=False) for name in beyond])
    if len(tokenizer) != rows:
        message = f"makes {len(tokenizer)} tokens for {rows} rows"
        raise DataError(message, member.place, remedy=its_own)
    return tokenizer


def _today(token: str) -> str:
    """Current name of a token: in older Whispers, silence has another name."""
    return "<|nospeech|>" if token == "<|nocaptions|>" else token


def _vocabulary(found: Found, taken: Taken) -> list[str] | None:
    """Names of the rows: a JSON list or, in older models, lines; None without such a file."""
    if (member := found.beside.get("vocabulary.json")) is not None:
        return [str(token) for token in taken.small(member).json(list)]
    if (member := found.beside.get("vocabulary.txt")) is None:
        return None
    with guarded(member.place, "is not UTF-8", remedy=AGAIN):
        text = taken.small(member).read().decode("utf-8")
    return text.removesuffix("\n").split("\n")


def _generation(
    config: WhisperConfig,
    settings: Mapping[str, Any],
    tokenizer: WhisperTokenizer,
    found: Found,
) -> GenerationConfig:
    """Make the generation config; lists of ids and alignment heads are the source's own."""

    def unfit(message: str) -> DataError:
        return DataError(message, found.beside["config.json"].place, remedy=very_own("config.json"))

    def ids(name: str) -> list[int] | None:
        numbers = settings.get(name)
        if not numbers:
            return None
        good = isinstance(numbers, list) and all(type(n) is int for n in numbers)
        if not good or not 0 <= min(numbers) <= max(numbers) < config.vocab_size:
            raise unfit(f"{name}: not a list of ids below {config.vocab_size}")
        return numbers

    def token(name: str) -> int:
        return tokenizer.convert_tokens_to_ids(f"<|{name}|>")

    heads = settings.get("alignment_heads") or []
    below = (config.decoder_layers, config.decoder_attention_heads)
    for head in heads if isinstance(heads, list) else [heads]:
        if not isinstance(head, list) or [type(n) for n in head] != [int, int]:
            raise unfit(f"alignment_heads: {shown(head)} is not [layer, head]")
        if not all(0 <= n < limit for n, limit in zip(head, below, strict=True)):
            raise unfit(f"alignment_heads: there is no [layer, head] {shown(head)}")
    multilingual = config.vocab_size >= MULTILINGUAL
    further: dict[str, Any] = {}
    if multilingual:
        vocabulary = tokenizer.get_vocab()
        languages = [f"<|{c}|>" for c in LANGUAGES if f"<|{c}|>" in vocabulary]
        further["lang_to_id"] = {name: vocabulary[name] for name in languages}
        further["task_to_id"] = {name: token(name) for name in TASKS}
    return GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        decoder_start_token_id=config.decoder_start_token_id,
        max_length=config.max_target_positions,
        suppress_tokens=ids("suppress_ids"),
        begin_suppress_tokens=ids("suppress_ids_begin"),
        alignment_heads=heads or None,
        is_multilingual=multilingual,
        no_timestamps_token_id=token("notimestamps"),
        prev_sot_token_id=token("startofprev"),
        max_initial_timestamp_index=50,
        return_timestamps=False,
        **further,
    )


def _extractor(found: Found, config: WhisperConfig, taken: Taken) -> WhisperFeatureExtractor:
    """Make transformers' filter bank with the bands and seconds that the model takes."""
    extractor = WhisperFeatureExtractor(
        feature_size=config.num_mel_bins,
        chunk_length=config.max_source_positions // POSITIONS_PER_SECOND,
    )
    if (member := found.beside.get("preprocessor_config.json")) is not None:
        stated = taken.small(member).json(dict)
        for key in ("feature_size", "sampling_rate", "hop_length", "n_fft", "chunk_length"):
            if stated.get(key, getattr(extractor, key)) != getattr(extractor, key):
                said, has = shown(stated[key]), getattr(extractor, key)
                message = f"{key} is {said}, and of this model {has}"
                raise DataError(message, member.place, remedy=very_own(member.base))
    return extractor
