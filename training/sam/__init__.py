"""The SAM family in torch: promptable segmenters that answer grid points with whole objects."""
