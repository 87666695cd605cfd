"""show what a config loads and trains, and what it costs, without reading any weights"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechllm.commands.base import add_model_arguments, model_overrides
from speechllm.errors import ConfigError

if TYPE_CHECKING:
    from speechllm.adapt.method import Method, Phase
    from speechllm.config import BaseConfig
    from speechllm.model.encoder.encoder import Encoder

SECONDS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm info`."""
    parser.add_argument("config", type=Path, help="base config, or config of a method")
    parser.add_argument(
        "--base", type=Path, help="of a method: base config, or folder of the base model"
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--data",
        nargs="+",
        default=[],
        type=Path,
        metavar="DIR",
        help="data dirs whose cache is estimated",
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change the config")


def run(args: argparse.Namespace) -> None:
    """Print what can be computed from a config without loading weights."""
    config, method = _read(args, args.overrides)
    durations = {path.name: _durations(path) for path in args.data}

    from speechllm.model.encoder.encoder import Encoder
    from speechllm.pretrained import quietly

    model = config.model
    window = model.encoder_settings.get("window", "padded")
    with quietly():  # no weights are loaded, on purpose
        encoder = Encoder.sketch(model.audio_model, model.trust_remote_code, window)
        lines = [*_models(config, method, encoder), *_caches(durations, encoder)]
    print("\n".join(lines))


def _read(args: argparse.Namespace, overrides: Sequence[str]) -> "tuple[BaseConfig, Method | None]":
    """Read the base's config, and the method's if the given config is one of a method."""
    from speechllm.adapt.method import load_method
    from speechllm.config import BaseConfig, ModelConfig, load, parse, read_yaml
    from speechllm.files.layout import DESCRIPTION, MODEL
    from speechllm.files.own import made_again, read_mapping

    if "method" not in read_yaml(args.config):
        if args.base:
            raise ConfigError(f"{args.config} is a base config itself", "leave --base out")
        return load(BaseConfig, args.config, [*overrides, *model_overrides(args)]), None
    if args.base is None:
        raise ConfigError(
            f"{args.config} adapts a base model, and does not say which",
            "give the base's config, or the folder of the trained base, as --base",
        )
    method = load_method(args.config, overrides)
    if not args.base.is_dir():
        return load(BaseConfig, args.base, model_overrides(args)), method
    where = args.base / MODEL / DESCRIPTION
    if not where.is_file():
        raise ConfigError(f"{args.base} holds no trained base", "give its config as --base")
    model = parse(ModelConfig, read_mapping(where, made_again(args.base))["model"], where)
    return BaseConfig(model=model, train=method.train), method


def _models(config: "BaseConfig", method: "Method | None", encoder: "Encoder") -> Iterator[str]:
    import torch

    from speechllm.model.compute.precision import resolve_dtype
    from speechllm.model.llm import base_of
    from speechllm.model.speech_llm import SpeechLLM, parameter_table, set_trainable

    settings = config.model
    with torch.device("meta"):
        model = SpeechLLM(settings)
        if method:
            model.replace_lora(method.lora)
            method.add_scaffold(model)
    tower = encoder.tower
    part = f" ({tower.path})" if tower.path else ""
    precision = "4 bits" if settings.load_in_4bit else settings.llm_dtype
    llm = base_of(model.llm)
    yield f"encoder  {settings.audio_model}"
    dtype = resolve_dtype(settings.encoder_dtype, "cuda" if torch.cuda.is_available() else "cpu")
    of = f"{tower.parameters:,} parameters in {dtype}"
    yield f"         {tower.cls.__name__}{part}, {of}"
    yield f"llm      {settings.text_model}"
    yield f"         {type(llm).__name__}, {_count(llm):,} parameters in {precision}"
    yield ""
    yield from _frames(model, encoder)
    for phase in _phases(config, method):
        set_trainable(model, phase.trainable)
        yield ""
        title = f"{method.method if method else 'base'} {phase.name}".strip()
        yield f"{title} trains {', '.join(phase.trainable)}"
        yield parameter_table(model)
        yield ""
        yield from _memory(model, phase)


def _phases(config: "BaseConfig", method: "Method | None") -> "Sequence[Phase]":
    from speechllm.adapt.method import Phase

    if method:
        return method.phases({"source": 1, "target": 1})
    return [Phase("", [], config.trainable, config.train, None)]


def _count(module: Any) -> int:
    """Number of the LLM's own parameters, without LoRA."""
    return sum(p.numel() for name, p in module.named_parameters() if "lora_" not in name)


def _frames(model: Any, encoder: "Encoder") -> Iterator[str]:
    """Frame rates, and positions of ten seconds of speech (or of one window, if kept whole)."""
    import numpy as np

    seconds = encoder.window_samples // 16000 if encoder.keeps_window else SECONDS
    once, twice = (
        len(encoder.encode([np.zeros(n * seconds * 16000, np.float32)])[0]) for n in (1, 2)
    )
    positions = [model.projector.output_length(n) for n in (once, twice)]
    rate, slow = (twice - once) / seconds, (positions[1] - positions[0]) / seconds
    yield (
        f"frames   {rate:g} Hz x {encoder.tower.width} -> {slow:g} Hz after downsampling "
        f"{rate / slow:.3g}"
    )
    if encoder.window_samples:
        how = "cut to the utterance" if encoder.cut else "filled with silence"
        yield f"         in windows of {encoder.window_samples / 16000:g} s, {how}"
    elif not encoder.batches:
        yield "         one utterance at a time, since padding would leak into others"
    before, after = len(model.prompt.prefix), len(model.prompt.suffix)
    yield (
        f"slot     {seconds} s of speech: {once} frames, {positions[0]} positions "
        f"({before} to {before + positions[0] - 1}) between {before} and {after} of the prompt"
    )
    context = getattr(model.llm.config.get_text_config(), "max_position_embeddings", None)
    if context:
        most = (context - model.prompt.overhead) * seconds / positions[0]
        yield f"         {context} positions of context hold {most:.0f} s without a transcript"


def _memory(model: Any, phase: "Phase") -> Iterator[str]:
    from speechllm.model.memory import GIB, training_memory

    memory = training_memory(model, phase.train)
    yield "GPU memory of training, in GiB (without the CUDA context and fragmentation):"
    for name, size in vars(memory).items():
        guess = " (estimate)" if name in ("activations", "logits") else ""
        yield f"  {name:<12}{size / GIB:>8.2f}{guess}"
    yield f"  {'all':<12}{memory.total / GIB:>8.2f}"


def _durations(path: Path) -> list[float]:
    """Seconds of each utterance; empty for a set without audio."""
    from speechllm.data.dirs.kaldi import DataDir
    from speechllm.data.speech.audio import audio_duration

    data = DataDir.load(path)
    return list(data.utt2dur.values()) or [audio_duration(a) for a in data.audio.values()]


def _caches(durations: Mapping[str, Sequence[float]], encoder: "Encoder") -> Iterator[str]:
    """Size of the cache of the encoder's output for data dirs."""
    if not durations:
        return
    import math

    import numpy as np

    from speechllm.model.memory import GIB

    # If windows are kept whole, a short utterance takes as much space as a full window.
    unit = encoder.window_samples / 16000 if encoder.keeps_window else 0
    seconds = unit or SECONDS
    silence = np.zeros(int(seconds * 16000), np.float32)
    hour = encoder.encode([silence])[0].nbytes / seconds * 3600 / GIB
    yield ""
    yield f"cache of the encoder's output (float16, {hour:.4g} GiB an hour):"
    hours = heard = 0.0
    for name, lengths in durations.items():
        whole = sum(math.ceil(n / unit) * unit if unit else n for n in lengths) / 3600
        yield f"  {name:<24}{sum(lengths) / 3600:>10.2f} h{whole * hour:>12.4f} GiB"
        hours, heard = hours + sum(lengths) / 3600, heard + whole
    yield f"  {'all':<24}{hours:>10.2f} h{heard * hour:>12.4f} GiB"
