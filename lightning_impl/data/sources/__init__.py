"""Image sets that torchvision downloads, as folders of class folders that either framework reads."""

from lightning_impl.data.sources.prepare import prepare_source

__all__ = ["prepare_source"]
