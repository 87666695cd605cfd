"""Trained Speech LLMs (Qwen2-Audio and others) as encoder, projector, LLM and prompt."""
