"""What reports are made of: pages, charts, JSON files."""
