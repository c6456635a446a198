"""Recipes: from nothing to a model bundle with its card, stage by stage, with one command and one YAML file."""
