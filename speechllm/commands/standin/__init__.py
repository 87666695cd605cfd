"""Commands that train stand-ins for pretrained models."""
