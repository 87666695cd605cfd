"""Import of pretrained models from other formats, as ordinary transformers folders.

The steps: find where a model lies (source) and which files it consists of (parts), read them (ct2,
gguf_file), make a transformers model (whisper, llm), and write its folder with a record of its
origin (import_folder).
"""
