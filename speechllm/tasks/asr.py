"""Speech recognition: the answer is the transcript, scored by word error rate."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from speechllm.config import DEFAULT_PROMPT
from speechllm.tasks.task import Figure, Labels, Task

if TYPE_CHECKING:
    from speechllm.data.kaldi import DataDir
    from speechllm.score.counted import Counted
    from speechllm.score.inputs import Settings


class Recognition(Task):
    """What was said, word by word."""

    name = "asr"
    prompt = DEFAULT_PROMPT
    figures = (
        Figure("wer", "WER", "word error rate", "words"),
        Figure(
            "entities",
            "entity error",
            "wrong, missing and inserted words in annotated entities, of all entity words "
            "(docs/scoring.md; reports before this definition had EER, the entities not wholly "
            "right)",
            "words",
        ),
    )
    score_file = "wer.json"
    pipeline_tag = "automatic-speech-recognition"
    by_type = "Entity error rate"
    has_words = True
    published = MappingProxyType(
        {
            "base": "base",
            "text_only": "text-only",
            "soft_prompt": "soft prompt",
            "denoise": "denoising",
            "mixed_batching": "mixed batching",
            "audio": "full audio",
        }
    )

    def targets(self, data_dir: "DataDir") -> dict[str, str]:
        return data_dir.text

    def count(
        self,
        references: Mapping[str, str],
        hypotheses: Mapping[str, str],
        normalizer: str = "plain",
        labels: Labels | None = None,
    ) -> "Counted":
        from speechllm.score.counted import words_counted
        from speechllm.score.wer import score_texts

        return words_counted(score_texts(references, hypotheses, normalizer), {})

    def count_set(
        self,
        data_dir: "DataDir",
        hypotheses: Mapping[str, str],
        normalizer: str = "plain",
        labels: Labels | None = None,
    ) -> "Counted":
        from speechllm.score.counted import words_counted
        from speechllm.score.wer import score_texts

        score = score_texts(data_dir.text, hypotheses, normalizer)
        return words_counted(score, data_dir.entities)

    def details(self, figures: Mapping[str, Any]) -> Mapping[str, str]:
        from speechllm.report.table import ABSENT, count

        kinds = ("substitutions", "deletions", "insertions")
        words = figures.get("wer")
        parts = " / ".join(count(words[kind]) for kind in kinds) if words else ABSENT
        return {"S / D / I": parts}

    def legend(self) -> str:
        return "WER: word error rate; S / D / I: substituted, deleted and inserted words"

    def score(
        self,
        reference: Path,
        hypothesis: Path,
        out: Path,
        settings: "Settings",
        labels: Labels | None = None,
        force: bool = False,
    ) -> dict[str, Any]:
        from speechllm.score.folder import score_folder

        return score_folder(reference, hypothesis, out, settings, force)

    def lines(self, result: Mapping[str, Any], what: str | Path) -> list[str]:
        from speechllm.score.folder import kaldi_lines

        return kaldi_lines(dict(result), what)
