import torch
from torch import nn

import lottery

text = "the winning ticket has won the lottery of the initialization and wins again " * 40
letters = sorted(set(text))
codes = torch.tensor([letters.index(letter) for letter in text]).view(40, -1)


class LanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(letters), 24)
        self.lstm = nn.LSTM(24, 24, batch_first=True)
        self.output = nn.Linear(24, len(letters))
        self.output.weight = self.embedding.weight

    def forward(self, codes):
        logits = self.output(self.lstm(self.embedding(codes[:, :-1]))[0])
        return nn.functional.cross_entropy(logits.flatten(0, 1), codes[:, 1:].flatten())


def train(model, session):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for step in range(1, 41):
        optimizer.zero_grad()
        model(codes[torch.randperm(30)[:10]]).backward()
        optimizer.step()
        if step % 10 == 0:
            session.log(step, perplexity=model(codes[30:35]).exp())


def evaluate(model):
    return model(codes[35:]).exp()


run = lottery.find_tickets(LanguageModel, train, evaluate, score="perplexity", margin=0.1, levels=2)
print(run.verdict.paragraph)
