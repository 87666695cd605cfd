"""Error rates on dev batches by real decoding, for real-time evaluation."""

import math
from collections.abc import Mapping, Sequence

from speechllm.decode.config import DecodeConfig, JointCtcConfig
from speechllm.decode.decode_sets import decode_batches
from speechllm.decode.scorers.joint_ctc import JointCtc
from speechllm.decode.search.search import search
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Batch, collate
from speechllm.task import Task
from speechllm.train.monitor import ERROR

POSITIONS = 12000  # budget of a batch: on a CPU, reading the weights is most of a small pass
BRIEF = 10
TINY = 1e-9


class DevError:
    """Decodes greedily and scores with the `plain` normaliser.

    Args:
        task: counts the errors.
        targets: references by utterance id.
        seconds: duration by utterance id.
        joint_ctc: weight of the projector's CTC in the search; None is the LLM alone.
        is_brief: limit every answer to `BRIEF` tokens. An untrained model finds no end and is wrong
            at any length; longer answers would only take minutes.
    """

    def __init__(
        self,
        task: Task,
        targets: Mapping[str, str],
        seconds: Mapping[str, float],
        joint_ctc: float | None = None,
        is_brief: bool = False,
    ):
        self.task, self.targets, self.seconds = task, targets, seconds
        self.joint_ctc = JointCtcConfig(weight=joint_ctc) if joint_ctc else None
        self.config = task.with_decode_defaults(DecodeConfig(beam=1, batch_positions=POSITIONS))
        if is_brief:
            bound = {"min_tokens": BRIEF, "max_tokens_per_second": TINY}
            self.config = self.config.model_copy(update=bound)

    def __call__(self, model: SpeechLLM, batches: Sequence[Batch]) -> dict[str, float]:
        """Error rates over all batches, in percent: `error`, the task's main one, and its other
        metrics by key, where they are defined.

        Utterances are batched anew: training's batches are small for a search, which reads one
        token of each row in a pass.
        """
        hypotheses: dict[str, str] = {}
        sources = [JointCtc(model, self.joint_ctc)] if self.joint_ctc else []
        length = model.projector.output_length
        examples = {example.utt_id: example for batch in batches for example in batch.examples}
        lengths = {utt: length(len(example.slot)) for utt, example in examples.items()}
        for ids in decode_batches(list(examples), lengths, self.seconds, model, self.config):
            rows = [examples[utt] for utt in ids]
            prompts = collate(rows, model.prompt, length, False).to(model.device)
            for source in sources:
                source.begin(prompts)
            seconds = [self.seconds[utt] for utt in ids]
            found = search(model, prompts, seconds, self.config, sources)
            hypotheses |= {best.utt_id: best.text for best, *_ in found}
        counted = self.task.count({utt: self.targets[utt] for utt in hypotheses}, hypotheses)
        rates = {key: rate.percent for key, rate in counted.rates.items()}
        main = rates[self.task.main.key]
        found = {key: percent for key, percent in rates.items() if percent is not None}
        return {**found, ERROR: math.inf if main is None else main}
