"""Pictures of run folders. Imports neither torch nor lightning: both frameworks' runs are drawn by it."""
