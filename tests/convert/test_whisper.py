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
from speechllm.convert.run import import_model
from speechllm.errors import ConfigError, DataError
from speechllm.model.encoder import Encoder
from tests.convert.ct2_files import ALIASES, tiny_whisper, variables_of, write_ct2, write_whisper


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


def refused(source: Path, match: str) -> None:
    """It is refused in words, and leaves nothing behind."""
    with pytest.raises(DataError, match=match):
        import_model([str(source)], source.parent / "out")
    assert [path.name for path in source.parent.iterdir() if path.name != source.name] == []


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


def test_cut_off_anywhere(source: Path, model) -> None:
    path = source / "model.bin"
    ends = write_ct2(path, variables_of(model), ALIASES)
    whole = path.read_bytes()
    assert ends[-1] == len(whole)
    for end in [0, *ends[:40], *ends[-8:]]:
        for size in {max(end - 1, 0), end} - {len(whole)}:
            path.write_bytes(whole[:size])
            refused(source, rf"ends at byte {size}, inside .*: the file is cut off")


def test_bytes_after_the_end(source: Path) -> None:
    with open(source / "model.bin", "ab") as stream:
        stream.write(b"more")
    refused(source, "goes on for 4 bytes after its end")


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"version": 7}, r"(?s)has version 7 of CTranslate2's format; 4 to 6 can be read.*convert"),
        ({"version": 2}, "has version 2 of"),
        ({"revision": 4}, "WhisperSpec of revision 4; up to 3"),
        ({"spec": "TransformerSpec"}, r"holds a TransformerSpec, a model of another kind"),
        ({"spec": "Wav2Vec2BertSpec"}, r"holds a Wav2Vec2BertSpec"),
    ],
)
def test_other_kinds_and_versions(source: Path, model, how: dict, match: str) -> None:
    write_ct2(source / "model.bin", variables_of(model), ALIASES, **how)
    refused(source, match)


@pytest.mark.parametrize("first", [b"GGUF" + bytes(99), b"PK\3\4" + bytes(99), b"\x80\2}q" * 30])
def test_a_foreign_file(source: Path, first: bytes) -> None:
    (source / "model.bin").write_bytes(first)
    refused(source, "is no CTranslate2 model: it begins with")


def _one_more(variables: dict) -> None:
    variables["encoder/layer_0/rotary"] = variables["encoder/layer_norm/beta"]


def _one_less(variables: dict) -> None:
    del variables["encoder/layer_0/ffn/linear_0/bias"]


def _other_shape(variables: dict) -> None:
    kind, values = variables["encoder/layer_1/ffn/linear_1/weight"]
    variables["encoder/layer_1/ffn/linear_1/weight"] = (kind, values[:, :-1].copy())


def _no_thirds(variables: dict) -> None:
    kind, values = variables["encoder/layer_1/self_attention/linear_0/weight"]
    variables["encoder/layer_1/self_attention/linear_0/weight"] = (kind, values[:-1].copy())


def _other_activation(variables: dict) -> None:
    variables["decoder/activation"] = ("int8", np.array(0, "<i1"))


def _heads(variables: dict) -> None:
    variables["encoder/num_heads"] = ("int16", np.array(3, "<i2"))


def _biased_keys(variables: dict) -> None:
    kind, values = variables["encoder/layer_0/self_attention/linear_0/bias"]
    variables["encoder/layer_0/self_attention/linear_0/bias"] = (kind, values + 1)


def _not_finite(variables: dict) -> None:
    variables["encoder/layer_norm/beta"][1][3] = np.nan


def _no_scale(variables: dict) -> None:
    _, values = variables["encoder/conv1/weight"]
    variables["encoder/conv1/weight"] = ("int8", values.astype("<i1"))


def _integers(variables: dict) -> None:
    variables["encoder/layer_norm/beta"] = ("int32", np.zeros(16, "<i4"))


def _no_layer(variables: dict) -> None:
    for name in [n for n in variables if "layer_0" in n]:
        del variables[name]


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (_one_more, r"holds 1 variables that a Whisper has not: encoder/layer_0/rotary"),
        (_one_less, r"lacks variable encoder/layer_0/ffn/linear_0/bias"),
        (_no_layer, r"lacks variable encoder/layer_0/"),
        (
            _other_shape,
            r"ffn/linear_1/weight gives .*fc2.weight the shape \[16, 31\], .* \[16, 32\]",
        ),
        (_no_thirds, r"self_attention/linear_0/weight is of shape \[47, 16\]: not 3 parts"),
        (_other_activation, r"decoder/activation is 0, where a Whisper has 3"),
        (_heads, r"encoder/num_heads is 3, for a width of 16"),
        (_biased_keys, r"its keys have a bias"),
        (_not_finite, r"encoder/layer_norm/beta holds numbers that are not finite"),
        (_no_scale, r"lacks encoder/conv1/weight_scale, the scale of int8"),
        (_integers, r"encoder/layer_norm/beta is int32, and should be a float"),
    ],
)
def test_variables_that_are_no_whisper_s(source: Path, model, spoil, match: str) -> None:
    variables = {
        name: (kind, values.copy()) for name, (kind, values) in variables_of(model).items()
    }
    spoil(variables)
    write_ct2(source / "model.bin", variables, ALIASES)
    refused(source, match)


def test_an_alias_of_nothing(source: Path, model) -> None:
    write_ct2(source / "model.bin", variables_of(model), {**ALIASES, "a": "no/such"})
    refused(source, "calls a variable a that it does not hold: no/such")


@pytest.mark.parametrize("size", [0, 10, 2000])
def test_random_bytes_never_end_in_a_traceback(source: Path, size: int) -> None:
    path = source / "model.bin"
    whole = bytearray(path.read_bytes())
    rng = np.random.default_rng(size)
    for trial in range(60):
        spoilt = bytearray(whole)
        for place in rng.integers(0, 3000, 3):
            spoilt[place] = rng.integers(256)
        path.write_bytes(spoilt[: len(spoilt) - size])
        try:
            import_model([str(source)], source.parent / f"out{trial}")
        except DataError:
            assert not (source.parent / f"out{trial}").exists()


def test_files_beside_it(source: Path) -> None:
    for name in ("tokenizer.json", "config.json"):
        whole = (source / name).read_bytes()
        (source / name).unlink()
        refused(
            source, rf"(?s)there is no {name} beside it.*put the model's {name} into its folder"
        )
        for text in (b"", b"[1, 2", b"[]", b"\xff\xfe", b"[" * 100_000, b"{}"[:1]):
            (source / name).write_bytes(text)
            refused(source, rf"{name}: (is no JSON|holds a list, not a dict)")
        (source / name).write_bytes(whole)
    (source / "tokenizer.json").write_text("{}")
    refused(source, "is no tokenizer of a Whisper|has no token")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"suppress_ids": [999]}, "suppress_ids: not a list of ids below 270"),
        ({"suppress_ids": "all"}, "suppress_ids: not a list of ids"),
        ({"alignment_heads": [[1, 0]]}, r"there is no \[layer, head\] \[1, 0\]"),
        ({"alignment_heads": 3}, r"alignment_heads: 3 is not \[layer, head\]"),
    ],
)
def test_settings_that_do_not_fit(source: Path, settings: dict, match: str) -> None:
    (source / "config.json").write_text(json.dumps(settings))
    refused(source, match)


def test_a_vocabulary_that_does_not_fit(source: Path) -> None:
    path = source / "vocabulary.txt"
    names = path.read_text().split("\n")[:-1]
    path.write_text("\n".join(names[:-1]) + "\n")
    refused(source, "the vocabulary has 269 tokens, and the model 270 rows")
    path.write_text("\n".join([*names[:7], "other", *names[8:]]) + "\n")
    refused(source, "token 7 is .* and 'other' in the vocabulary")
    path.write_text("\n".join([*names[:-1], "word"]) + "\n")
    refused(source, "lacks token 'word', which the model's vocabulary has")
    path.unlink()
    (source / "vocabulary.json").write_text(json.dumps(names))
    imported(source)


def test_a_tokenizer_of_more_tokens_than_rows(tmp_path: Path) -> None:
    source = write_whisper(tmp_path / "source", tiny_whisper(timestamps=-2))
    (source / "vocabulary.txt").unlink()
    refused(source, "has 264 tokens, and the model 262 rows")


def test_a_filter_bank_that_does_not_fit(source: Path) -> None:
    (source / "preprocessor_config.json").write_text(json.dumps({"feature_size": 80}))
    refused(source, "feature_size is 80, and of this model 8")


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
