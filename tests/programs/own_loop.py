import torch
from torch import nn

import lottery

inputs = torch.randn(600, 8, generator=torch.Generator().manual_seed(0))
targets = (inputs[:, 0] * inputs[:, 1] > 0).long()


def make_model():
    return nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 2))


def train(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(10):
        for batch in torch.randperm(400).split(50):
            loss = nn.functional.cross_entropy(model(inputs[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def evaluate(model):
    return (model(inputs[400:]).argmax(1) == targets[400:]).float().mean()


run = lottery.find_tickets(make_model, train, evaluate, levels=3, replicates=3, out="runs/mine")
print(run.verdict.paragraph)
run.report("mine.html")
