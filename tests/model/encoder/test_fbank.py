import numpy as np
from transformers import SeamlessM4TFeatureExtractor

from speechllm.model.encoder.fbank import without_frame_loop


def test_the_fast_filter_bank_is_bit_equal() -> None:
    rng = np.random.default_rng(0)
    waves = [rng.normal(0, 0.1, n).astype(np.float32) for n in (4000, 16000, 23457)]
    slow = SeamlessM4TFeatureExtractor(stride=4)
    fast = without_frame_loop(slow)
    options = {"sampling_rate": 16000, "return_tensors": "np", "pad_to_multiple_of": 4}
    expected, found = slow(waves, **options), fast(waves, **options)
    np.testing.assert_array_equal(found.input_features, expected.input_features)
    np.testing.assert_array_equal(found.attention_mask, expected.attention_mask)


def test_the_original_is_left_as_it_was() -> None:
    extractor = SeamlessM4TFeatureExtractor()
    without_frame_loop(extractor)
    assert "_extract_fbank_features" not in vars(extractor)
