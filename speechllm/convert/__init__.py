"""Pretrained models from the files that people have, as ordinary transformers folders.

From left to right: where a model lies (source), which files are it (parts), what it holds (ct2,
gguf_file), a transformers model of that (whisper, llm) and its folder, with a record of both (run).
"""
