"""Proof on the spot: a converted model compared with what Keras itself makes of the file, layer by layer."""

from porting.proof.prove import prove
from porting.proof.verdict import Proof

__all__ = ["Proof", "prove"]
