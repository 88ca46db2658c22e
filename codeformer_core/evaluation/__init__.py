"""Measure: a model over many faces, two pictures against each other, the demonstration."""
