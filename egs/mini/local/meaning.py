"""What a sentence of the grammars means: for the task slu (run_slu.sh).

A domain's name is the scenario, and its rule say, ask or tell the action. The source has no such
rules: its callers' subjects are scenarios, and a sentence that begins like a question asks. What
the general part says is written down: one entity holds all its words, so that a model that
understands speech also learns to hear every word.
"""

import re
from typing import Any

from grammar import Sentence

ACTIONS = ("say", "ask", "tell")
SUBJECTS = {
    "bank_sentence": "bank",
    "policy_sentence": "insurance",
    "plan_sentence": "health",
    "small_talk": "call",
}
QUESTIONS = re.compile(
    r"(how|what|why|when|where|who|which|can|could|do|is|are|may|will)\b", re.IGNORECASE
)


def meaning(domain: str, sentence: Sentence) -> dict[str, Any]:
    """Semantics of a sentence, as the table `semantics` has them (docs/data-formats.md)."""
    if domain == "general":
        words = [{"type": "words", "filler": sentence.text}]
        return {"scenario": "dictation", "action": "write", "entities": words}
    entities = [{"type": e["type"], "filler": e["text"]} for e in sentence.entities]
    if domain == "source":
        scenario = next(SUBJECTS[rule] for rule in sentence.rules if rule in SUBJECTS)
        action = "ask" if QUESTIONS.match(sentence.text) else "say"
    else:
        scenario = domain
        action = next(rule for rule in sentence.rules if rule in ACTIONS)
    return {"scenario": scenario, "action": action, "entities": entities}
