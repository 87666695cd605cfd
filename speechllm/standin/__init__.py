"""Stand-ins for pretrained models: small, made in minutes, saved as ordinary transformers folders.

Recipes without downloads train them in stage 1, on general data only. The later stages load the
folders through Auto classes and cannot tell them from WavLM and Llama.
"""
