"""The recipes: a name, the config that Folio and its peers read, and the amount of work in a round."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    name: str
    config: str       # a file of configs/
    what: str
    amount: int       # steps, or tokens of one sequence, in a round
    trial: int        # the same, for the choice of a thread count
    samples: bool = False
    layers: int = 0
    heads: int = 0
    width: int = 0
    context: int = 0
    vocabulary: int = 0
    batch: int = 0

    @property
    def tokens_per_step(self):
        return self.batch * self.context


nanogpt = dict(config="nanogpt_cpu", layers=4, heads=4, width=128, context=64, vocabulary=65, batch=12)
baby = dict(config="baby_gpt", layers=6, heads=6, width=384, context=256, vocabulary=65, batch=64)
gpt2 = dict(config="gpt2_124m", layers=12, heads=12, width=768, context=256, vocabulary=50304, batch=4)

RECIPES = {recipe.name: recipe for recipe in (
    Recipe("nanogpt_cpu", what="nanoGPT's CPU recipe, training", amount=200, trial=40, **nanogpt),
    Recipe("baby_gpt", what="nanoGPT's 6-layer recipe, training", amount=4, trial=1, **baby),
    Recipe("gpt2_124m", what="GPT-2 124M on random tokens, training", amount=5, trial=1, **gpt2),
    Recipe("sample_nanogpt", what="sampling from nanoGPT's CPU model", amount=2000, trial=300, samples=True, **nanogpt),
    Recipe("sample_gpt2", what="sampling from GPT-2 124M, one sequence", amount=200, trial=30, samples=True, **gpt2),
)}
WHOLE_STEPS = 2000          # of nanogpt_cpu
OWN_RECIPE = ("shakespeare", 4000)  # Folio's own config for the same model, and the steps that fit in PyTorch's time
