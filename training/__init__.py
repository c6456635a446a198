"""Everything that runs on a workstation or a cluster: simulators, dataset, the SAM family, fine-tuning, evaluation,
export.
"""
