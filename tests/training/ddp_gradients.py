"""``python -m training`` whose every process keeps the gradients that its first optimizer step sees, beside the run's
checkpoint: for a test of training on several processes. Lightning starts the others with the same command.
"""

import sys
from pathlib import Path

import torch

from training.__main__ import main
from training.finetuning import verb as finetune
from training.finetuning.module import WholeObjects


class KeptGradients(WholeObjects):
    def on_before_optimizer_step(self, _optimizer):
        if self.trainer.global_step == 0:
            gradients = {name: p.grad.clone() for name, p in self.model.named_parameters() if p.grad is not None}
            torch.save(gradients, Path(self.trainer.default_root_dir) / f"gradients{self.trainer.global_rank}.pt")


if __name__ == "__main__":
    finetune.WholeObjects = KeptGradients
    sys.exit(main(sys.argv[1:]))
