"""Simulated CTC posteriors of target text in the speech slot (after TASU, 2511.03310)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from speechllm.adapt.made.made_data import MadeOfText
from speechllm.adapt.made.simulated import SIMULATED, SimulatedSpeech
from speechllm.adapt.method import Workspace
from speechllm.slot.mixture import Component

if TYPE_CHECKING:  # to read a config needs no torch
    from speechllm.slot.corpus import Corpus


class Posterior(SimulatedSpeech, MadeOfText):
    """LoRA on target text, shown as the vectors that its simulated CTC posteriors stand for.

    The simulation of posteriors (drop, smooth, insert) is that of TASU (ICASSP 2026, 2511.03310).
    TASU trains its projector, which takes posteriors: one frame per symbol, without blanks. Here
    the projector takes encoder frames at their full rate. So posteriors get runs and blanks as
    long as in source speech, a codebook measured on source speech turns them into frames, and LoRA
    is trained.
    """

    made_as = "simulated speech"
    made = Component("pseudo_audio", SIMULATED)

    def prepare(self, workspace: Workspace) -> Mapping[str, "Corpus"]:
        """Make the target's text with its simulation, in a domain of its own."""
        return {SIMULATED: self.simulate(workspace, self.train.seed)}
