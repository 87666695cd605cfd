"""Slot filling: the answers of `slu`, for data with one intent or where intents matter little."""

from speechllm.task import Metric
from speechllm.tasks.slu import Understanding


class SlotFilling(Understanding):
    """Slot filling: answers and counts as for `slu`; models are compared by their SLU-F1."""

    name = "slots"
    metrics = (
        Metric("slu_f1", "SLU-F1 error", "100 - SLU-F1 of the entities"),
        Metric("exact", "exact error", "utterances with anything wrong: 100 - exact match"),
    )
