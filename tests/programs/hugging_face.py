from small_bert import Sentences, accuracy, pretrained
from transformers import BertForSequenceClassification, Trainer, TrainingArguments

weights = pretrained("bert")
args = TrainingArguments(
    "out",
    num_train_epochs=2,
    learning_rate=1e-3,
    eval_strategy="epoch",
    disable_tqdm=True,
    report_to=[],
    use_cpu=True,
    dataloader_pin_memory=False,
)


def make_trainer():
    model = BertForSequenceClassification.from_pretrained(weights, num_labels=2)
    return Trainer(
        model,
        args,
        train_dataset=Sentences(64, seed=1),
        eval_dataset=Sentences(32, seed=2),
        compute_metrics=accuracy,
    )


# lottery: begin
import lottery
from lottery.integrations.transformers import trainer_task

run = lottery.find_tickets(
    **trainer_task(make_trainer), levels=1, replicates=2, reinitialize=True, out="runs/bert"
)
print(run.verdict.paragraph)
# lottery: end
