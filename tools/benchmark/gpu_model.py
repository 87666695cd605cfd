"""The Speech LLM of random weights, and the noise whose frames are cached."""

from gpu_common import DEVICE, Settings
from gpu_features import ENCODER

from speechllm.config import LoraConfig, ModelConfig
from speechllm.model.compute.precision import resolve_dtype
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.corpus import Corpus


def load_model(settings: Settings) -> SpeechLLM:
    """Projector and LoRA over an LLM that is kept in bfloat16, as recipes of its size do."""
    config = ModelConfig(
        encoder=str(settings.encoder),
        llm=str(settings.llm),
        lora=LoraConfig(),
        llm_dtype=resolve_dtype("auto", DEVICE),
        encoder_dtype=ENCODER["dtype"],
    )
    return SpeechLLM(config).to(DEVICE)


def load_corpus(settings: Settings, model: SpeechLLM) -> Corpus:
    """The noise, its frames read from the cache when they are asked for."""
    corpus = Corpus.load([settings.data])
    corpus.open_frames(settings.dump, model.config.audio_model, model.config.encoder_settings)
    return corpus.measure(model.tokenizer, model.projector.output_length)
