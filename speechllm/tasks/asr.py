"""Speech recognition: the answer is the transcript, scored by word error rate."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from speechllm.config import DEFAULT_PROMPT
from speechllm.score.count.wer import score_texts
from speechllm.score.counts import Counted, words_counted
from speechllm.score.inputs import Settings
from speechllm.score.word_scores import kaldi_lines, word_scores
from speechllm.score.write import Scored
from speechllm.task import Entities, Labels, Metric, Task


class Recognition(Task):
    """Transcription of what was said, word by word."""

    name = "asr"
    prompt = DEFAULT_PROMPT
    metrics = (
        Metric("wer", "WER", "word error rate", "words"),
        Metric(
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
    is_aligned = True
    missing = "as deletions"
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
    details = MappingProxyType({"S / D / I": ("wer", "substitutions", "deletions", "insertions")})
    shown = MappingProxyType(
        {
            ("wer",): ("WER", "word error rate"),
            ("cer",): ("CER", "character error rate"),
            ("ser",): ("SER", "utterances with an error"),
            ("entities", "error"): ("entity", "entity error rate"),
            ("entities", "f1"): ("F1", "F1 of whole entities; higher is better"),
            ("biasing", "b_wer"): ("B-WER", "word error rate of biased words"),
            ("biasing", "u_wer"): ("U-WER", "word error rate of the other words"),
            ("oov", "recall"): ("RecOOV", "recall of words that the source text never had"),
            ("loops",): ("loops", "utterances that repeat themselves"),
        }
    )

    def count(
        self,
        references: Mapping[str, str],
        hypotheses: Mapping[str, str],
        normalizer: str = "plain",
        labels: Labels | None = None,
        entities: Entities = MappingProxyType({}),
    ) -> Counted:
        return words_counted(score_texts(references, hypotheses, normalizer), entities)

    def legend(self) -> str:
        return "WER: word error rate; S / D / I: substituted, deleted and inserted words"

    def scores(
        self, reference: Path, hypothesis: Path, settings: Settings, labels: Labels | None
    ) -> Mapping[str, Scored]:
        return word_scores(reference, hypothesis, settings)

    def lines(self, result: Mapping[str, Any], what: str | Path) -> list[str]:
        return kaldi_lines(result, what)
