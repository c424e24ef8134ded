import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

torch.manual_seed(0)
inputs = torch.randn(512, 20)
targets = inputs[:, :3].argmax(1)
model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
compiled = torch.compile(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.05, fused=True)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-2, total_steps=64)
scaler = torch.amp.GradScaler("cpu")

average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
for _ in range(4):
    for number, batch in enumerate(torch.randperm(512).split(16), 1):
        with torch.autocast("cpu", torch.bfloat16):
            loss = nn.functional.cross_entropy(compiled(inputs[batch]), targets[batch]) / 2
        scaler.scale(loss).backward()
        if number % 2 == 0:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
            optimizer.zero_grad()
            average.update_parameters(model)

accuracy = (average(inputs).argmax(1) == targets).float().mean()
