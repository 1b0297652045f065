"""Shows how far a run is."""
