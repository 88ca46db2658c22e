"""The three training stages around the degradation model."""
