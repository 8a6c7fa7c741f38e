"""What is wrong in a folder of class folders, found before hours are spent on it."""

from lightning_impl.data.audit.command import add_arguments, run
from lightning_impl.data.audit.folder import Audit, audit_folder
from parity_common.folder_findings import KINDS, Finding

__all__ = ["KINDS", "Audit", "Finding", "add_arguments", "audit_folder", "run"]
