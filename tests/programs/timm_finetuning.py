import timm
import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from torch import nn

pictures = torch.randn(60, 3, 32, 32, generator=torch.Generator().manual_seed(0))
targets = (pictures.mean((1, 2, 3)) > 0).long()
torch.manual_seed(0)
torch.save(timm.create_model("resnet10t", num_classes=10).state_dict(), "pretrained.pth")


def make_model():
    return timm.create_model(
        "resnet10t",
        num_classes=2,
        pretrained=True,
        pretrained_cfg_overlay={"file": "pretrained.pth", "num_classes": 10},
    )


def fine_tune(model):
    optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-3, weight_decay=0.05)
    schedule = CosineLRScheduler(optimizer, t_initial=2, lr_min=1e-5)
    model.train()
    for epoch in range(2):
        for batch in torch.randperm(40).split(20):
            loss = nn.functional.cross_entropy(model(pictures[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step(epoch + 1)


def evaluate(model):
    model.eval()
    with torch.no_grad():
        return (model(pictures[40:]).argmax(1) == targets[40:]).float().mean().item()


# lottery: begin
import lottery

run = lottery.find_tickets(
    make_model, fine_tune, evaluate, levels=1, replicates=2, reinitialize=True, out="runs/resnet"
)
print(run.verdict.paragraph)
# lottery: end
