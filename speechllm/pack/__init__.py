"""Packing: one portable folder with a base model, its domains, and their pretrained models."""
