"""A Whisper of CTranslate2 comes out with the parameters that it went in with, or is refused."""

import json
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoFeatureExtractor,
    AutoProcessor,
    AutoTokenizer,
    WhisperForConditionalGeneration,
)

from speechllm.cli import main
from speechllm.convert.import_folder import import_model
from speechllm.errors import ConfigError, DataError
from speechllm.model.encoder.encoder import Encoder
from tests.helpers.ct2_files import ALIASES, tiny_whisper, variables_of, write_ct2, write_whisper


@pytest.fixture(scope="module")
def model() -> WhisperForConditionalGeneration:
    return tiny_whisper()


@pytest.fixture
def source(tmp_path: Path, model: WhisperForConditionalGeneration) -> Path:
    return write_whisper(tmp_path / "source", model)


def imported(source: Path, **options: str) -> WhisperForConditionalGeneration:
    out = source.parent / "out"
    import_model([str(source)], out, **options)
    return WhisperForConditionalGeneration.from_pretrained(out)


def test_every_parameter_and_every_output_is_the_same(source: Path, model) -> None:
    got = imported(source)
    want = model.state_dict()
    assert got.state_dict().keys() == want.keys()
    for name, tensor in got.state_dict().items():
        assert torch.equal(tensor, want[name]), name
    for name in ("d_model", "encoder_attention_heads", "decoder_attention_heads", "num_mel_bins"):
        assert getattr(got.config, name) == getattr(model.config, name)
    sound = torch.randn(1, 8, 200)
    tokens = torch.tensor([[259, 263, 4, 5]])
    with torch.no_grad():
        logits = got(input_features=sound, decoder_input_ids=tokens).logits
        assert torch.equal(logits, model(input_features=sound, decoder_input_ids=tokens).logits)


@pytest.mark.parametrize(
    ("quantization", "dtype", "within"),
    [
        ("float16", torch.float16, 2e-3),
        ("bfloat16", torch.bfloat16, 1e-2),
        ("int8_float32", torch.float32, 1e-2),
        ("int8_float16", torch.float16, 1e-2),
        ("int8_bfloat16", torch.bfloat16, 2e-2),
        ("int16", torch.float32, 2e-3),
    ],
)
def test_floats_stay_as_stored_and_integers_are_scaled(
    tmp_path: Path, model, quantization: str, dtype: torch.dtype, within: float
) -> None:
    got = imported(write_whisper(tmp_path / "source", model, quantization))
    assert got.dtype == dtype
    for name, tensor in got.state_dict().items():
        want = model.state_dict()[name]
        assert (tensor.float() - want).abs().max() <= within * want.abs().max(), name


def test_another_dtype(source: Path) -> None:
    assert imported(source, dtype="bfloat16").dtype == torch.bfloat16


def test_a_number_too_large_for_the_dtype(source: Path, model) -> None:
    variables = variables_of(model)
    kind, values = variables["encoder/conv1/bias"]
    variables["encoder/conv1/bias"] = (kind, values + np.float32(1e6))
    write_ct2(source / "model.bin", variables, ALIASES)
    with pytest.raises(DataError, match=r"(?s)conv1/bias reaches 1e\+06.*--dtype bfloat16"):
        import_model([str(source)], source.parent / "out", "float16")


def test_the_folder_is_whole(source: Path) -> None:
    imported(source)
    out = source.parent / "out"
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert len(tokenizer) == 270
    assert tokenizer.convert_tokens_to_ids("<|0.04|>") == 266
    assert (
        tokenizer.decode(tokenizer("that a hat").input_ids, skip_special_tokens=True)
        == "that a hat"
    )
    extractor = AutoFeatureExtractor.from_pretrained(out)
    assert (extractor.feature_size, extractor.chunk_length) == (8, 2)
    assert type(AutoProcessor.from_pretrained(out)).__name__ == "WhisperProcessor"
    generation = json.loads((out / "generation_config.json").read_text())
    assert generation["suppress_tokens"] == [1, 2]
    assert generation["alignment_heads"] == [[0, 3]]
    assert generation["is_multilingual"] is False
    assert generation["no_timestamps_token_id"] == 263
    for path in out.iterdir():
        assert path.stat().st_mode & stat.S_IRGRP or not source.stat().st_mode & stat.S_IRGRP, path
    encoder = Encoder(str(out))
    assert encoder.encode([np.zeros(16000, np.float32)])[0].shape == (50, 16)


def test_equal_tensors_are_stored_once(source: Path, model) -> None:
    """CTranslate2 keeps one of two equal variables, whichever they are."""
    variables = variables_of(model)
    kept, dropped = "encoder/layer_0/ffn/layer_norm/beta", "encoder/layer_1/ffn/layer_norm/beta"
    del variables[dropped]
    write_ct2(source / "model.bin", variables, {**ALIASES, dropped: kept})
    layers = imported(source).model.encoder.layers
    assert torch.equal(layers[1].final_layer_norm.bias, layers[0].final_layer_norm.bias)
    assert torch.equal(
        layers[0].final_layer_norm.bias, model.model.encoder.layers[0].final_layer_norm.bias
    )


def test_the_scale_of_an_alias(tmp_path: Path, model) -> None:
    """It is that of its variable, whether or not the file says so."""
    source = write_whisper(tmp_path / "source", model, "int8")
    scale = {f"{alias}_scale": f"{name}_scale" for alias, name in ALIASES.items()}
    import_model([str(source)], tmp_path / "implied")
    write_ct2(source / "model.bin", variables_of(model, "int8"), {**ALIASES, **scale})
    import_model([str(source)], tmp_path / "said")
    weights = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("implied", "said")]
    assert weights[0] == weights[1]


def test_an_output_matrix_that_is_stored_a_second_time(source: Path, model) -> None:
    variables = variables_of(model)
    variables["decoder/projection/weight"] = variables["decoder/embeddings/weight"]
    write_ct2(source / "model.bin", variables, {})
    imported(source)
    kind, values = variables["decoder/projection/weight"]
    variables["decoder/projection/weight"] = (kind, values + 1)
    write_ct2(source / "model.bin", variables, {})
    with pytest.raises(DataError, match="projection/weight is not the embeddings"):
        imported(source)


def test_the_command(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = source.parent / "out"
    main(["import-model", str(source / "model.bin"), str(out)])
    assert capsys.readouterr().out == f"{out}: CTranslate2 WhisperSpec 3, licence not stated\n"
    main(["import-model", str(source), str(out)])  # an import may be done again
    (out / "source.json").unlink()
    with pytest.raises(SystemExit):
        main(["import-model", str(source), str(out)])
    assert "something else in the place" in capsys.readouterr().err


def test_the_sources_of_a_folder_of_transformers(source: Path) -> None:
    imported(source)
    with pytest.raises(ConfigError, match="needs no import"):
        import_model([str(source.parent / "out")], source.parent / "again")


def test_silence_has_two_names(source: Path) -> None:
    """<|nocaptions|> of an older conversion is <|nospeech|> of a younger one."""
    for name, old in (("tokenizer.json", "<|transcribe|>"), ("vocabulary.txt", "<|transcribe|>")):
        new = "<|nospeech|>" if name == "tokenizer.json" else "<|nocaptions|>"
        path = source / name
        path.write_text(path.read_text().replace(old, new))
    imported(source)


def test_as_ctranslate2_itself_writes_it(tmp_path: Path, model) -> None:
    """With its own converter, in every way that it can store numbers."""
    converters = pytest.importorskip(
        "ctranslate2.converters", reason="ctranslate2 is not installed"
    )
    original = tmp_path / "original"
    import_model([str(write_whisper(tmp_path / "source", model))], original)
    for kind in (
        "float32",
        "float16",
        "bfloat16",
        "int8",
        "int8_float16",
        "int8_bfloat16",
        "int16",
    ):
        converter = converters.TransformersConverter(str(original), copy_files=["tokenizer.json"])
        converter.convert(str(tmp_path / kind), quantization=kind)
        import_model([str(tmp_path / kind)], tmp_path / f"{kind}.out", "float32")
        got = WhisperForConditionalGeneration.from_pretrained(tmp_path / f"{kind}.out").state_dict()
        for name, want in model.state_dict().items():
            assert (got[name] - want).abs().max() <= 1e-2 * want.abs().max(), (kind, name)
