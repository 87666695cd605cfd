from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers import AutoModelForCTC, AutoTokenizer

from speechllm.data.dirs.kaldi import write_data_dir, write_table
from speechllm.files.own import read_json
from speechllm.standin.encoder import EncoderOptions, train_encoder
from tests.helpers.tiny import make_set

OPTIONS = EncoderOptions(
    width=16, layers=1, heads=2, kernel=3, steps=150, lr=1e-2, batch_frames=512
)


def make_tones(folder: Path, count: int = 16) -> Path:
    """A set whose phones are three tones of a quarter of a second, three to six an utterance."""
    rng = np.random.default_rng(0)
    pitch = {"low": 300, "mid": 1000, "high": 3000}
    seconds = np.arange(4000) / 16000
    text, wav, phones = {}, {}, {}
    (folder / "wav").mkdir(parents=True)
    for utt in (f"utt{n:02d}" for n in range(count)):
        tones = [str(tone) for tone in rng.choice(list(pitch), rng.integers(3, 7))]
        samples = np.concatenate([np.sin(2 * np.pi * pitch[t] * seconds) for t in tones])
        samples += rng.normal(0, 0.01, len(samples))
        soundfile.write(folder / "wav" / f"{utt}.wav", 0.3 * samples, 16000)
        text[utt], wav[utt] = "tones", str(folder / "wav" / f"{utt}.wav")
        phones[utt] = " ".join(tones)
    write_data_dir(folder, text=text, wav=wav)
    write_table(folder / "phones", phones)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("standin")
    tones = make_tones(folder / "tones")
    train_encoder([tones], tones, folder / "encoder", OPTIONS)
    return folder


def test_ctc_learns_the_tones(trained: Path) -> None:
    record = read_json(trained / "encoder/standin.json")
    assert record["phone_error_rate"]["tones"] < 0.5
    assert record["utterances"] == 16 and record["too_short"] == 0


def test_equal_seeds_give_equal_weights(trained: Path) -> None:
    tones = trained / "tones"
    train_encoder([tones], tones, trained / "again", OPTIONS)
    one, two = (AutoModelForCTC.from_pretrained(trained / n) for n in ("encoder", "again"))
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


def test_phones_do_not_depend_on_the_batch(trained: Path) -> None:
    model = AutoModelForCTC.from_pretrained(trained / "encoder").eval()
    long, short = torch.randn(1, 40, 320), torch.randn(1, 25, 320)
    padded = torch.nn.functional.pad(short, (0, 0, 0, 15), value=3.0)
    mask = torch.tensor([[1] * 40, [1] * 25 + [0] * 15])
    with torch.no_grad():
        together = model(torch.cat([long, padded]), attention_mask=mask).logits
        alone = model(short, attention_mask=mask[1:, :25]).logits
    torch.testing.assert_close(together[1:, :25], alone, atol=1e-5, rtol=1e-4)


def test_the_tokenizer_of_the_folder_decodes_phones_of_several_letters(trained: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained / "encoder")
    blank = tokenizer.pad_token_id
    low, high = tokenizer.convert_tokens_to_ids(["low", "high"])
    assert blank == AutoModelForCTC.from_pretrained(trained / "encoder").config.pad_token_id
    assert tokenizer.decode([low, low, blank, low, high, blank]) == "low low high"


def test_utterances_too_short_for_their_phones_are_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_set(tmp_path / "noise", "spk")
    text = (folder / "text").read_text().split("\n")[:-1]
    phones = {line.split()[0]: "a b" for line in text} | {"spk-3": "a b " * 50}
    write_table(folder / "phones", phones)
    soundfile.write(folder / "wav/spk-4.wav", np.full(1, 0.1), 16000)
    few = EncoderOptions(width=16, layers=1, heads=2, kernel=3, steps=1)
    train_encoder([folder], folder, tmp_path / "encoder", few)
    assert read_json(tmp_path / "encoder/standin.json")["too_short"] == 2
    assert "spk-3" in caplog.text and "spk-4" in caplog.text
