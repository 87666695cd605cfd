"""Word error rate of dev batches by real decoding, for real-time evaluation."""

import math
from collections.abc import Mapping, Sequence

from speechllm.config import DecodeConfig
from speechllm.data.collate import Batch, collate
from speechllm.decode.search import search
from speechllm.model.speech_llm import SpeechLLM
from speechllm.score.wer import score_texts


class DevWer:
    """Decodes greedily and scores with the `plain` normaliser.

    Args:
        transcripts: reference by utterance id.
        seconds: duration by utterance id.
    """

    def __init__(self, transcripts: Mapping[str, str], seconds: Mapping[str, float]):
        self.transcripts, self.seconds = transcripts, seconds
        self.config = DecodeConfig(beam=1)

    def __call__(self, model: SpeechLLM, batches: Sequence[Batch]) -> float:
        """WER of all batches together, in percent."""
        hypotheses: dict[str, str] = {}
        for batch in batches:
            prompts = collate(batch.examples, model.prompt, model.projector.output_length, False)
            ids = [example.utt_id for example in batch.examples]
            found = search(
                model, prompts.to(model.device), [self.seconds[i] for i in ids], self.config
            )
            hypotheses |= {hypothesis.utt_id: hypothesis.text for hypothesis in found}
        references = {utt: self.transcripts[utt] for utt in hypotheses}
        percent = score_texts(references, hypotheses).words.percent
        return math.inf if percent is None else percent
