"""Empty package; the readers of corpora are in `speechllm.corpora`."""
