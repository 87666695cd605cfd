"""Stand-ins for pretrained models: small, trained in minutes, saved as transformers folders.

Recipes without downloads train them in stage 1, on general data only. Later stages load the folders
through Auto classes, as they load WavLM and Llama.
"""
