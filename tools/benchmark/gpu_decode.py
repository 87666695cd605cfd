"""Beam search: how many seconds of audio are decoded in a second, from cached frames.

With random weights no hypothesis ends by itself: each runs to its bound, which is as many tokens as
real speech has. For the same reason the guard, which would decode each a second time, is off.
"""

from gpu_common import GIB, Settings, figure, forget_peak, now, peak, profiled, say
from gpu_features import cache
from gpu_model import load_corpus, load_model

from speechllm.decode.config import DecodeConfig
from speechllm.decode.decode_sets import decode_batches
from speechllm.decode.decoder import Decoder
from speechllm.slot.views import Views


def measure(settings: Settings) -> None:
    """The set in the batches of `speechllm decode`, after one that does not count."""
    cache(settings, settings.dump)
    model = load_model(settings).eval()
    say("the model is loaded")
    config = DecodeConfig(
        beam=settings.beam,
        batch_positions=settings.decode_positions,
        max_tokens_per_second=settings.tokens_per_second,
        min_tokens=1,
        precision="auto",
        guard=None,
    )
    corpus = load_corpus(settings, model)
    seconds = {utt: dur for d in corpus.dirs for utt, dur in d.utt2dur.items()}
    views, decoder = Views(model.tokenizer, {"test": corpus}), Decoder(model, config)
    name = f"decode, beam {settings.beam}"

    def decode(ids: list[str]) -> int:
        """Read frames and decode a batch; returns its tokens."""
        examples = [views.render("audio", "test", utt) for utt in ids]
        found = decoder.decode(examples, [seconds[utt] for utt in ids])
        return sum(one.best.tokens for one in found)

    batches = list(decode_batches(list(corpus.text), corpus.speech_lengths, seconds, model, config))
    decode(batches[0])
    say(f"warm-up: {len(batches[0])} of {len(corpus.text)} utterances")
    forget_peak()
    heard = took = tokens = 0.0
    for ids in batches:
        started = now()
        tokens += decode(ids)
        took += now() - started
        heard += sum(seconds[utt] for utt in ids)
        figure(name, heard / took, "s/s", 1000)
        figure(f"{name}, tokens", tokens / heard, "1/s of audio")
    figure(f"{name}, peak memory", peak() / GIB, "GiB")
    with profiled(settings, "decode"):
        decode(batches[-1][-8:])
