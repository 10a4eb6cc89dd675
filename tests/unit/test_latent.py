"""Latent semantics: near is what goes with the same tokens; a text encoder learns them, and has them for new texts."""

import numpy as np
import pytest
import torch

from training.config import EncoderSize
from training.encoder import TextEncoder, encode, new_model
from training.latent import latent
from training.text_lessons import learn_meaning
from training.wordpiece import train_tokenizer

SHIRT, BLOUSE, COTTON, LAMP, BULB, GLASS = range(6)
GOODS = (
    ["shirt", "blouse", "cotton", "sleeve", "collar", "button", "skirt", "hem"],
    ["lamp", "bulb", "glass", "light", "shade", "socket", "glow", "switch"],
    ["knife", "fork", "steel", "spoon", "handle", "tip", "plate", "grind"],
)
SIZE = EncoderSize(dim=16, layers=1, vocabulary=300, max_tokens=16)


def test_texts_without_a_common_token_are_near_where_others_have_both() -> None:
    clothes = [[SHIRT, COTTON], [BLOUSE, COTTON], [SHIRT], [BLOUSE]]
    lights = [[LAMP, GLASS], [BULB, GLASS], [LAMP], [BULB]]
    found = latent(clothes + lights, 2)
    near = found @ found.T
    assert near[2, 3] > 0.9
    assert abs(near[2, 6]) < 0.1
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    assert np.array_equal(found, latent(clothes + lights, 2))


@pytest.mark.parametrize("bags", [[], [[]], [[1]], [[], []], [[1], [1]], [[1], [2], [3]]])
def test_what_says_nothing_is_zeros(bags: list[list[int]]) -> None:
    assert np.array_equal(latent(bags, 4), np.zeros((len(bags), 4)))


def test_an_encoder_has_the_meaning_of_a_new_text_too() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(GOODS[kind], 4, replace=False)) for kind in rng.integers(3, size=120)]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokenizer = train_tokenizer(texts, SIZE.vocabulary, SIZE.max_tokens)
    encoder = TextEncoder(new_model(tokenizer, SIZE).bert)
    heard: list[str] = []
    learn_meaning(encoder, tokenizer, texts, 30, 0, heard.append)
    assert float(heard[-1].rsplit(" ", 1)[-1]) < 0.2 < float(heard[0].rsplit(" ", 1)[-1])
    new = encode(encoder.eval(), tokenizer, ["cotton sleeve shirt", "blouse", "bulb light", "steel fork knife"])
    near = (new @ new.T).numpy()
    assert near[0, 1] > max(near[0, 2], near[0, 3]) + 0.3
