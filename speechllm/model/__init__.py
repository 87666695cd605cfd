"""The Speech LLM: frozen encoder -> projector -> decoder-only LLM."""
