"""Speech from features: the vocoders that fill what was lost."""
