import torch
from torch.nn.parallel import DistributedDataParallel

import lottery

torch.distributed.init_process_group("gloo")
model = DistributedDataParallel(torch.nn.LSTM(8, 16, num_layers=2))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
with lottery.hold(model, lottery.prune(model, fraction=0.8)):
    for batch in torch.randn(20, 5, 4, 8).unbind():
        optimizer.zero_grad()
        (model(batch)[0] - 0.5).square().mean().backward()
        optimizer.step()
