"""Everything that computes; knows neither Qt nor napari."""
