"""Embedding. Source: keras 3.15 layers/core/embedding.py; the same in tf_keras 2.21."""

from __future__ import annotations

from porting.rules.piece import Carry, Make, Piece, Refused, Site, Step, keras_order


def embedding(site: Site) -> Piece:
    """Whole numbers, which Keras takes as floats too, to rows."""
    if site.config.get("mask_zero"):
        raise Refused("mask_zero=True has no rule: the layers behind it would skip steps")
    if site.config.get("lora_rank"):
        raise Refused("lora_rank has no rule")
    sizes = {"num_embeddings": site.stated("input_dim"), "embedding_dim": site.stated("output_dim")}
    return Piece(
        (Step(Make("nn.Embedding", sizes)),),
        merge="{}.long()",
        orders=(keras_order(site.rank),),
        order=keras_order(site.rank + 1),
        weights={"embeddings": Carry("weight")},
    )


RULES = {"Embedding": embedding}
