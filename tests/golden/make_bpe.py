#!/usr/bin/env python3
"""Writes bpe.json: the byte pairs that Hugging Face's `tokenizers` learns, and the tokens that it encodes.

    python make_bpe.py             rewrites bpe.json beside this file

Needs tokenizers (the file records its version). Each case has a text, the merges learned from it in
order, and the tokens of that text and of another. The vocabulary size in the file is one more than the
size passed to Hugging Face, because Folio's last token separates documents.
"""

import json
import pathlib

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

WORDS = """the the the the of of and and and to to a a in in that is was he for it with as his on be at
by had not are but from or have an they which one you were all her she there would their we him been has
when who will no more if out so what up into time only some could them about other than then its people
made over did down way must before through back years where much your may well should because each just
those how too little good very make world still see own work long both under never same another know""".split()
CONTRACTIONS = ["I'm", "don't", "they'll", "we've", "it's", "he'd", "you're", "O'Neill's", "'tis", "rock'n'roll"]
NUMBERS = ["7", "42", "1999", "2024", "3.14", "1,000,000", "0x1F", "²", "Ⅻ", "٣٤"]
FOREIGN = ["λόγος", "ὁ λόγος", "και", "和平", "战争与和平", "人人", "naïve", "café", "Straße", "мир", "日本語", "שלום"]
SIGNS = ["🙂", "🙂🙂", "👩‍👩‍👧", "—", "...", "!!", "(?)", "€", "#!/", "<|endoftext|>", "a\u0301", "\u00ad"]
SPACES = [" "] * 24 + ["  ", "   ", "\n", "\n", "\n\n", "\t", " \n", "\r\n", "\u00a0", "\u3000", "    ", "\x00", "\x7f"]


class Choice:
    """A linear congruential generator (Numerical Recipes), the same in every version of Python."""

    def __init__(self, seed):
        self.state = seed

    def __call__(self, items):
        self.state = (1664525 * self.state + 1013904223) % 2 ** 32
        return items[(self.state >> 8) % len(items)]


def text_of(seed, pieces):
    choose = Choice(seed)
    text = ""
    for _ in range(pieces):
        kind = choose([WORDS] * 14 + [CONTRACTIONS, NUMBERS, FOREIGN, SIGNS])
        word = choose(kind)
        text += choose([word, word, word, word.capitalize(), word + ","]) + choose(SPACES)
    return text


def case(text, vocabulary, unseen):
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=vocabulary - 1, min_frequency=2, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([text], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    assert len(model["vocab"]) == 256 + len(merges)
    return dict(vocabulary_wanted=vocabulary, text=text, merges=merges, tokens=tokenizer.encode(text).ids,
                unseen=unseen, unseen_tokens=tokenizer.encode(unseen).ids)


def main():
    path = pathlib.Path(__file__).with_name("bpe.json")
    repeats = "aaaa aaaaa aaaaaaa abababab babab aabaab\n\n\n\n\n\n      aaaaaaaaaaaaaa 111111 1111"
    cases = [case(text_of(seed=1, pieces=700), 384, text_of(seed=2, pieces=250)),
             case(repeats, 1000, repeats[::-1])]  # fewer pairs than requested
    head = dict(made_by="tests/golden/make_bpe.py", requires=f"tokenizers=={tokenizers.__version__}")
    path.write_text(json.dumps(head | dict(cases=cases), separators=(",", ":")) + "\n")
    print(f"wrote {path.name}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
