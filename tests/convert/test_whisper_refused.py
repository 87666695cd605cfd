"""What is no whole Whisper of CTranslate2 is refused in one line, and leaves nothing behind."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from transformers import WhisperForConditionalGeneration

from speechllm.convert.ct2 import read_ct2
from speechllm.convert.import_folder import import_model
from speechllm.errors import DataError
from tests.helpers.ct2_files import ALIASES, tiny_whisper, variables_of, write_ct2, write_whisper


@pytest.fixture(scope="module")
def model() -> WhisperForConditionalGeneration:
    return tiny_whisper()


@pytest.fixture
def source(tmp_path: Path, model: WhisperForConditionalGeneration) -> Path:
    return write_whisper(tmp_path / "source", model)


def refused(source: Path, match: str) -> None:
    """It is refused in words, and leaves nothing behind."""
    with pytest.raises(DataError, match=match) as caught:
        import_model([str(source)], source.parent / "out")
    assert caught.value.remedy
    assert [path.name for path in source.parent.iterdir() if path.name != source.name] == []


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


def _no_number(variables: dict) -> None:
    variables["encoder/num_heads"] = ("float32", np.array(np.nan, "<f4"))


def _no_bands(variables: dict) -> None:
    kind, values = variables["encoder/conv1/weight"]
    variables["encoder/conv1/weight"] = (kind, values[:, :0].copy())


def _rows_without_width(variables: dict) -> None:
    # As many as the file states; they take no room in it.
    values = np.empty((2**31, 0), "<f4")
    variables["decoder/embeddings/weight"] = ("float32", values)


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
        (_no_number, r"encoder/num_heads is nan, which is no whole number"),
        (_no_bands, r"num_mel_bins is 0"),
        (_rows_without_width, r"d_model is 0"),
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


@pytest.mark.parametrize("shape", [(1,) * 65, (0, *[2**32 - 1] * 3)])
def test_a_shape_that_no_array_has(tmp_path: Path, shape: tuple[int, ...]) -> None:
    size = 4 * min(shape)
    variable = struct.pack(f"<B{len(shape)}IBI", len(shape), *shape, 0, size) + bytes(size)
    head = struct.pack("<IH", 6, 2) + b"x\0" + struct.pack("<IIH", 3, 1, 2) + b"y\0"
    path = tmp_path / "model.bin"
    path.write_bytes(head + variable + bytes(4))
    with pytest.raises(DataError, match=r"(?s)model.bin: variable y .* no array has: .*->"):
        read_ct2(path, "model.bin")


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


@pytest.mark.parametrize("name", ["endoftext", "startoftranscript", "startofprev", "notimestamps"])
def test_a_tokenizer_without_a_special_token(source: Path, name: str) -> None:
    (source / "vocabulary.txt").unlink()
    path = source / "tokenizer.json"
    path.write_text(path.read_text().replace(f"<|{name}|>", "<|other|>"))
    refused(source, rf"has no token <\|{name}\|>")


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
    import_model([str(source)], source.parent / "out")


def test_a_tokenizer_of_more_tokens_than_rows(tmp_path: Path) -> None:
    source = write_whisper(tmp_path / "source", tiny_whisper(timestamps=-2))
    (source / "vocabulary.txt").unlink()
    refused(source, "has 264 tokens, and the model 262 rows")


def test_a_filter_bank_that_does_not_fit(source: Path) -> None:
    (source / "preprocessor_config.json").write_text(json.dumps({"feature_size": 80}))
    refused(source, "feature_size is 80, and of this model 8")
