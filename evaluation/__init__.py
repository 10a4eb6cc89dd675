"""How good the recommendations are: full ranking, honest baselines, confidence, replay."""
