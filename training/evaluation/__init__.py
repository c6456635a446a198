"""Scoring models on annotated frames: where frames come from, what is run on them, and the report."""
