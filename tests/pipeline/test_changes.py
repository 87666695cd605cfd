"""What was made is of what is there now, or refused by name; every remedy is followed and works."""

import logging
import os
import shutil
from pathlib import Path

import pytest
import yaml

from tests.helpers.changes import age, cut, flip, follow, remedy_of, restored
from tests.pipeline import test_stages as pipeline
from tests.pipeline.test_stages import adapt_command, base_command, refused, run

work = pipeline.work


def features(work: Path, *options: str) -> None:
    """Stage 3 of all sets with audio."""
    sets = [str(path.parent) for path in sorted((work / "data").glob("*/wav.scp"))]
    command = ["features", "--encoder", f"{work}/encoder", "--dump", f"{work}/dump", *options]
    run(*command, *sets)
    run(*command, "--merge", *sets)


def decode_command(work: Path, model: str = "base") -> list[str]:
    (work / "greedy.yaml").write_text("{beam: 1, max_tokens_per_second: 8}")
    return [
        *("decode", "--config", f"{work}/greedy.yaml", "--model", f"{work}/exp/{model}"),
        *("--dump", f"{work}/dump", "--data", f"{work}/data/target_dev"),
    ]


def perplexity_command(work: Path) -> list[str]:
    command = ["perplexity", "--model", f"{work}/exp/base", "--dump", f"{work}/dump"]
    return [*command, "--data", f"{work}/data/target_dev"]


@pytest.fixture(scope="module")
def made(work: Path) -> Path:
    """The work folder with a base, an adapted model, hypotheses and perplexities, all settled."""
    run(*adapt_command(work, "text_only"))
    run(*decode_command(work))
    run(*perplexity_command(work))
    for _ in range(2):  # records take the new times
        age(work / "data", work / "encoder", work / "llm", work / "dump", work / "exp")
        again(work)
    return work


def again(work: Path, *options: str) -> None:
    """All commands once more; none has anything to do."""
    before = {p: p.stat().st_mtime_ns for p in (work / "exp").rglob("*.safetensors")}
    features(work, *options)
    for command in (base_command(work, "base"), adapt_command(work, "text_only")):
        run(*command, *options)
    run(*decode_command(work), *options)
    run(*perplexity_command(work), *options)
    assert before == {p: p.stat().st_mtime_ns for p in (work / "exp").rglob("*.safetensors")}


def test_nothing_is_done_twice_and_nothing_of_size_is_hashed(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from speechllm.files import made_from

    monkeypatch.setattr(made_from, "_hashes", {})
    monkeypatch.setattr(made_from, "LARGE", -1)
    hashed: list[str] = []
    monkeypatch.setattr(
        made_from.log, "info", lambda _, path, *rest: hashed.append(Path(path).name)
    )
    for command in (base_command(made, "base"), adapt_command(made, "text_only")):
        run(*command)
    # These are written anew by every merge.
    assert {*hashed} <= {"feats.scp", "feats.crc", "utt2num_frames", "timing.json", "wav.sha256"}


def test_other_times_alone_are_no_change(made: Path) -> None:
    for place in ("data", "encoder", "llm", "dump", "exp"):
        for path in (p for p in (made / place).rglob("*") if p.is_file()):
            path.touch()
    again(made)
    again(made, "--verify")


def test_a_folder_that_was_copied_is_no_change(made: Path, tmp_path: Path) -> None:
    """As by git clone or rsync without times."""
    for place in ("llm", "data/target_train"):
        shutil.copytree(made / place, tmp_path / "copy", copy_function=shutil.copyfile)
        shutil.rmtree(made / place)
        shutil.move(tmp_path / "copy", made / place)
    again(made)


TEXTS = {
    "data/source_train/text": ("base", "adapt"),
    "data/source_dev/text": ("base", "adapt"),
    "data/target_train/text": ("adapt",),
}


@pytest.mark.parametrize("keep_time", [False, True])
@pytest.mark.parametrize("name", TEXTS)
def test_text_that_changed_after_training_is_refused_by_name(
    made: Path, name: str, keep_time: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = {"base": base_command(made, "base"), "adapt": adapt_command(made, "text_only")}
    age(made / "data")
    again(made)
    with restored(made / name) as path:
        text = path.read_text()
        stat = path.stat()
        path.write_text(text.replace("cow", "sow"))
        if keep_time:
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        for stage, command in commands.items():
            options = ["--verify"] if keep_time else []
            if stage in TEXTS[name]:
                said = refused([*command, *options], capsys)
                assert f"made from other files than are there now: {made / name}" in said
                assert "rm -r" in remedy_of(said) and "bring them back" in remedy_of(said)
            else:
                run(*command, *options)
            if keep_time:
                run(*command)  # as git takes it
    again(made)


@pytest.mark.parametrize("name", ["llm/model.safetensors", "llm/tokenizer.json"])
def test_an_llm_that_changed_is_refused_wherever_its_model_is_used(
    made: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    adapted, wav = "base/text_only_target_train", made / "data/target_dev/wav/ta-0.wav"
    with restored(made / name) as path:
        flip(path)
        for command in (
            base_command(made, "base"),
            adapt_command(made, "text_only"),
            adapt_command(made, "audio", name="new_"),
            decode_command(made),
            decode_command(made, adapted),
            perplexity_command(made),
            ["transcribe", "--model", f"{made}/exp/{adapted}", str(wav)],
        ):
            said = refused(command, capsys)
            assert f"exp/base was made from other files than are there now: {name}" in said
    again(made)


def test_the_remedy_for_a_changed_llm_works(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*base_command(made, "copy"))
    with restored(made / "llm/model.safetensors") as path:
        flip(path)
        follow(remedy_of(refused(base_command(made, "copy"), capsys)))
        run(*base_command(made, "copy"))
        run(*base_command(made, "copy"))
    follow(remedy_of(refused(base_command(made, "copy"), capsys)))
    run(*base_command(made, "copy"))


def test_a_replaced_wav_is_refused_until_stage_3_has_heard_it(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wav = made / "data/target_dev/wav/ta-3.wav"
    with restored(wav):
        shutil.copyfile(made / "data/target_dev/wav/ta-1.wav", wav)
        for command in (
            adapt_command(made, "text_only"),
            decode_command(made),
            perplexity_command(made),
        ):
            said = refused(command, capsys)
            assert "ta-3.wav" in said and "run stage 3 (features) again" in remedy_of(said)
        features(made)
        assert f"audio of {made}/data/target_dev" in refused(
            adapt_command(made, "text_only"), capsys
        )
        said = refused(decode_command(made), capsys)
        assert "hypotheses made with another samples" in said
        run(*perplexity_command(made))  # figures are measured anew
        kept = made / "kept"
        shutil.copytree(made / "exp/base/decode_greedy/target_dev", kept)
        follow(remedy_of(said))
        run(*decode_command(made))
        shutil.rmtree(made / "exp/base/decode_greedy/target_dev")
        shutil.move(kept, made / "exp/base/decode_greedy/target_dev")
    features(made)
    again(made)


def test_features_may_be_removed_once_training_is_done(made: Path) -> None:
    shutil.move(made / "dump", made / "away")
    try:
        for command in (base_command(made, "base"), adapt_command(made, "text_only")):
            run(*command)
    finally:
        shutil.move(made / "away", made / "dump")


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "tensor left out"])
@pytest.mark.parametrize("model", ["base", "base/text_only_target_train"])
def test_damaged_tensors_are_refused_and_trained_once_more(
    made: Path, model: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file, save_file

    folder = made / "exp" / model
    tensors, record = folder / "model/trained.safetensors", folder / "run.json"
    content = tensors.read_bytes()
    if damage == "flip":
        flip(tensors, keep_time=True)
    elif damage == "cut":
        cut(tensors)
    elif damage == "gone":
        tensors.unlink()
    else:
        left = load_file(tensors)
        del left[sorted(left)[0]]
        save_file(left, tensors)
    command = base_command(made, "base") if model == "base" else adapt_command(made, "text_only")
    shutil.rmtree(folder / "decode_greedy", ignore_errors=True)
    for refusing in (command, decode_command(made, model)):
        if damage == "flip" and refusing is command:
            continue  # size and time are those of the record, as in git
        said = refused(refusing, capsys)
        assert str(tensors) in said and "not what was written" in said
        assert remedy_of(said).startswith(f"rm {record}, and run stage ")
    follow(remedy_of(said))
    run(*command)
    assert tensors.read_bytes() == content
    run(*decode_command(made))
    again(made)


@pytest.mark.parametrize("name", ["run.json", "model/model.json"])
@pytest.mark.parametrize("damage", [cut, Path.unlink])
def test_a_run_whose_descriptions_are_damaged_is_trained_once_more(
    made: Path, name: str, damage: object, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made / "exp/base/text_only_target_train"
    tensors = (folder / "model/trained.safetensors").read_bytes()
    damage(folder / name)
    command = adapt_command(made, "text_only")
    if not (damage is Path.unlink and name == "run.json"):  # that one is a run that has not ended
        follow(remedy_of(refused(command, capsys)))
    run(*command)
    assert (folder / "model/trained.safetensors").read_bytes() == tensors
    again(made)


def test_a_prompt_that_changed_by_a_letter_is_damage(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with restored(made / "exp/base/model/model.json") as path:
        path.write_text(path.read_text().replace("Transcribe", "transcribe"))
        assert "model.json: is not what was written" in refused(decode_command(made), capsys)
    again(made)


@pytest.mark.parametrize("name", ["hyp.jsonl", "text"])
def test_hypotheses_that_changed_are_refused_or_written_anew(
    made: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = made / "exp/base/decode_greedy/target_dev"
    before = (out / "text").read_bytes()
    lines = (out / name).read_text()
    (out / name).write_text(lines.replace("ta-3", "ta-2", 1))
    if name == "hyp.jsonl":
        said = refused(decode_command(made), capsys)
        assert f"{out / name}: is not what was decoded" in said
        follow(remedy_of(said))
    run(*decode_command(made))
    assert (out / "text").read_bytes() == before
    again(made)


def test_files_that_settings_name_are_inputs(tmp_path: Path) -> None:
    from speechllm.adapt.run_files import named_files

    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("cow K AW\n")
    model = tmp_path / "exp/model"
    model.mkdir(parents=True)
    (model / "run.json").write_text("{}")
    settings = {"a": [{"lexicon": str(lexicon), "prompt": "About cows.", "none": None}], "b": 3}
    settings["second_model"] = str(model)
    named = {str(path): path for path in (lexicon, model / "run.json")}
    assert dict(named_files(settings)) == named


def test_runs_of_older_versions_are_taken_and_said_to_be_so(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from speechllm.files.own import read_json
    from speechllm.files.whole import write_json
    from speechllm.pretrained import encoder_key

    kept = tmp_path / "exp"
    shutil.copytree(made / "exp", kept)
    try:
        for record in [*(made / "exp").rglob("made_from.json")]:
            record.unlink()
        for description in (made / "exp").rglob("model.json"):
            values = dict(read_json(description))
            del values["sha256"]
            write_json(description, values)
        config = made / "exp/base/config.yaml"
        values = yaml.safe_load(config.read_text())
        values["inputs"] |= encoder_key(f"{made}/encoder")
        config.write_text(yaml.safe_dump(values))
        with caplog.at_level(logging.INFO):
            run(*base_command(made, "base"))
        assert f"{made}/exp/base: an older version made it" in caplog.text
        shutil.rmtree(made / "exp/base/decode_greedy")
        run(*decode_command(made))
    finally:
        shutil.rmtree(made / "exp")
        shutil.move(kept, made / "exp")
    again(made)
