"""How good the models are on every kind of noise, beside denoisers that need no training."""
