import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

inputs = torch.randn(300, 8, generator=torch.Generator().manual_seed(0))
rows = TensorDataset(inputs, (inputs[:, 0] * inputs[:, 1] > 0).long())
train_rows, held_out = (
    torch.utils.data.Subset(rows, range(*ends)) for ends in ((200,), (200, 300))
)


class Net(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))

    def training_step(self, batch):
        return nn.functional.cross_entropy(self.layers(batch[0]), batch[1])

    def validation_step(self, batch):
        logits = self.layers(batch[0])
        self.log("val_loss", nn.functional.cross_entropy(logits, batch[1]))
        self.log("val_accuracy", (logits.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


def make_trainer():
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return lightning.Trainer(
        max_epochs=4, accelerator="cpu", enable_model_summary=False, log_every_n_steps=1, **quiet
    )


data = {
    "train_dataloaders": DataLoader(train_rows, 50, shuffle=True),
    "val_dataloaders": DataLoader(held_out, 100),
}
# lottery: begin
import lottery
from lottery.integrations.lightning import lightning_task

run = lottery.find_tickets(
    **lightning_task(Net, make_trainer, **data), levels=2, replicates=3, out="runs/net"
)
print(run.verdict.paragraph)
# lottery: end
